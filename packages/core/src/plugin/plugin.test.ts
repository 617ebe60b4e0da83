import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { ConfigProblems } from "../config/problem.ts";
import { duration } from "../config/units.ts";
import { PluginError } from "../errors.ts";
import { createGuard, type Failed } from "../guard/guard.ts";
import { createHooks, listHooks } from "../hooks/index.ts";
import type { Clock, Session } from "../model/index.ts";
import { createVocabulary } from "../policy/vocabulary.ts";
import type { StateSpace, StateStore } from "../state/state-store.ts";
import type { GatewayParts } from "./create-gateway.ts";
import { definePlugin, type PluginDefinition } from "./definition.ts";
import type { Gateway, Service } from "./gateway.ts";
import { createPluginHost, type PluginInstance } from "./host.ts";
import { createRegistrations } from "./registrations.ts";
import { setUpPlugins } from "./set-up.ts";

const root = mkdtempSync(join(tmpdir(), "postern-plugin-"));
afterAll(() => rmSync(root, { recursive: true }));

/** A plugin's module without imports: the brand is what `definePlugin` adds. */
function source(fields: string): string {
  return `const any = { safeParseAsync: async (data) => ({ success: true, data }), _zod: { def: { type: "any" } } };
export default { [Symbol.for("postern.plugin")]: true, name: "sample", apiVersion: 1, options: any, setup() {}, ${fields} };`;
}

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function install(name: string, files: Readonly<Record<string, string>>, exported: unknown = "./index.js"): void {
  write(`node_modules/${name}/package.json`, JSON.stringify({ name, type: "module", exports: exported }));
  for (const [path, text] of Object.entries(files)) write(`node_modules/${name}/${path}`, text);
}

const file = join(root, "postern.config.json");
const host = createPluginHost({ file, directory: root });

type Entry = string | readonly [string, Record<string, unknown>];
function load(...entries: Entry[]): Promise<readonly PluginInstance[]> {
  return host.load(
    entries.map((entry, index) => {
      const [specifier, options = {}] = typeof entry === "string" ? [entry] : entry;
      return { specifier, options, index };
    }),
  );
}

async function mistakes(...entries: Entry[]): Promise<string> {
  const error: unknown = await load(...entries).catch((thrown: unknown) => thrown);
  if (!(error instanceof ConfigProblems)) throw error;
  return error.message.replaceAll(`${file}: `, "");
}

describe("loading", () => {
  install("@postern/plugin-greylist", { "index.js": source(`name: "greylist"`) });
  install("postern-plugin-mondays", { "index.js": source(`name: "mondays"`) });
  install("import-only", { "i.js": source(`name: "import-only"`) }, { import: "./i.js" });
  install("closed", { "index.js": "" }, { "./other": "./index.js" });
  install("wrapped", {
    "index.js": source("").replace("export default", "const d =") + "\nexport default { default: d };",
  });
  install("typed", { "index.ts": `export default ({ } as object);` }, "./index.ts");
  write("plugins/local.ts", source(`name: "local" as string`));
  write("plugins/second.mjs", source(`name: "second"`));
  write("plugins/empty.mjs", "export const x = 1;");
  write("plugins/throws.mjs", "throw new Error('at load');");
  write("plugins/old.mjs", source("apiVersion: 0"));
  write("plugins/new.mjs", source("apiVersion: 2"));
  write("plugins/loud.mjs", source(`name: "LOUD"`));
  write("plugins/bare.mjs", source("options: undefined"));
  write("plugins/idle.mjs", source("setup: undefined"));

  test("from a package, by import conditions alone, from a path, from a wrapped build", async () => {
    const instances = await load(
      "@postern/plugin-greylist",
      "import-only",
      "./plugins/local.ts",
      "wrapped",
      join(root, "plugins/second.mjs"),
    );
    expect(instances.map(({ name }) => name)).toEqual(["greylist", "import-only", "local", "sample", "second"]);
  });

  test("from the command's own installation when the config's folder has none", async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), "postern-elsewhere-"));
    const other = createPluginHost({ file, directory: elsewhere, searchFrom: [root] });
    await expect(other.load([{ specifier: "postern-plugin-mondays", options: {}, index: 0 }])).resolves.toHaveLength(1);
    rmSync(elsewhere, { recursive: true });
  });

  test("an entry that a top-level key stands for: its mistakes are named by the key", async () => {
    const keyed = { specifier: "@postern/plugin-greylist", options: { deadline: 5 }, index: 1, key: "rewrite" };
    await expect(host.load([keyed])).rejects.toThrow(/: rewrite\.deadline: expected a duration/);
    const missing = { ...keyed, specifier: "@postern/plugin-gone", options: {} };
    await expect(host.load([missing])).rejects.toThrow(/^\S+: rewrite: "@postern\/plugin-gone" is not installed/);
    const twice = { ...keyed, options: {} };
    await expect(host.load([{ specifier: twice.specifier, options: {}, index: 0 }, twice])).rejects.toThrow(
      /: rewrite: "greylist" is the name of plugins\[0\] already; /,
    );
  });

  test("host keys are the host's", async () => {
    const [instance] = await load([
      "@postern/plugin-greylist",
      { as: "grey-two", onError: { timeout: "skip" }, deadline: "3s", delay: 5 },
    ]);
    expect(instance).toMatchObject({
      name: "grey-two",
      options: { delay: 5 },
      onError: { timeout: "skip" },
      owner: { name: "grey-two", onError: { timeout: "skip" }, deadlineMs: 3000 },
    });
  });

  test.each<[string, Entry[], RegExp]>([
    [
      "a short name",
      ["greylist"],
      /^plugins\[0\]: "greylist" is not installed; did you mean "@postern\/plugin-greylist"\?$/,
    ],
    ["a misspelt short name", ["graylist"], /did you mean "@postern\/plugin-greylist"\?$/],
    ["a misspelt name", ["@postern/plugin-greylst"], /did you mean "@postern\/plugin-greylist"\?$/],
    ["another's short name", ["mondays"], /did you mean "postern-plugin-mondays"\?$/],
    ["a path without ./", ["plugins/local.ts"], /did you mean "\.\/plugins\/local\.ts"\?$/],
    ["nothing like it", ["zebra-crossing"], /is not installed; install it with npm install zebra-crossing$/],
    ["no file", ["./plugins/gone.ts"], /^plugins\[0\]: there is no file \S+plugins\/gone\.ts$/],
    ["a package that exports nothing", ["closed"], /"closed" is no plugin: nothing in it can be imported$/],
    ["no name at all", ["http:"], /"http:" is no(?:t|) /],
    [
      "no definition",
      ["./plugins/empty.mjs"],
      /empty\.mjs has no plugin as its default export; write export default definePlugin/,
    ],
    ["a throw at load", ["./plugins/throws.mjs"], /throws\.mjs cannot be imported: at load$/],
    ["an older contract", ["./plugins/old.mjs"], /written for plugin API 0 and this Postern has 1; update the plugin$/],
    ["a newer contract", ["./plugins/new.mjs"], /written for plugin API 2 and this Postern has 1; update Postern$/],
    ["a bad name", ["./plugins/loud.mjs"], /a plugin's name is lower case, digits and hyphens, not "LOUD"$/],
    ["no options schema", ["./plugins/bare.mjs"], /plugin sample has no schema as its "options"/],
    ["no setup", ["./plugins/idle.mjs"], /plugin sample has no function "setup"$/],
    [
      "one name twice",
      ["@postern/plugin-greylist", "@postern/plugin-greylist"],
      /^plugins\[1\]: "greylist" is the name of plugins\[0\] already; give one of them another with "as"$/,
    ],
    [
      "isolation",
      [["@postern/plugin-greylist", { isolation: "worker" }]],
      /^plugins\[0\]\[1\]\.isolation: "worker" is not available in this version of Postern$/,
    ],
    [
      "a wrong host key",
      [["@postern/plugin-greylist", { onError: "accept" }]],
      /^plugins\[0\]\[1\]\.onError: expected .*got "accept"/,
    ],
    [
      "every mistake of every entry",
      ["greylist", ["@postern/plugin-greylist", { deadline: 5 }]],
      /^plugins\[0\]: .*\nplugins\[1\]\[1\]\.deadline: expected a duration/,
    ],
  ])("%s is one sentence", async (_, entries, expected) => expect(await mistakes(...entries)).toMatch(expected));
});

const clock: Clock & { run(): void } = (() => {
  let due: (() => void)[] = [];
  return {
    now: () => 0,
    monotonic: () => 0,
    setTimer(call: () => void) {
      due.push(call);
      return { cancel: () => void (due = due.filter((other) => other !== call)) };
    },
    run: () => due.forEach((call) => call()),
  };
})();

const options = z.strictObject({ delay: duration().default("5m") });

function instanceOf(name: string, fields: Partial<PluginDefinition>): PluginInstance {
  const definition = definePlugin({ name, apiVersion: 1, options, setup() {}, ...fields });
  const owner = { name, onError: "defer", deadlineMs: 10_000 } as const;
  return {
    name,
    definition,
    options: {},
    owner,
    onError: undefined,
    deadlineMs: undefined,
    specifier: name,
    file: name,
  };
}

function build() {
  const failed: Failed[] = [];
  const guard = createGuard(clock, (one) => void failed.push(one));
  const hooks = createHooks(guard);
  const vocabulary = createVocabulary();
  const logged: string[] = [];
  const parts: GatewayParts = {
    hostname: "mx.example.test",
    directory: root,
    clock,
    dns: {} as GatewayParts["dns"],
    recipientDelimiter: "",
    hooks,
    vocabulary,
    tables: {
      register: () => undefined,
      open: async (spec) => ({
        type: "static",
        name: JSON.stringify(spec),
        kind: "indexed",
        trusted: true,
        lookup: () => "found",
        close: async () => undefined,
      }),
    },
    registrations: createRegistrations(),
    space: (name, options) => ({ get: (key: string) => [name, options, key] }) as unknown as StateSpace<never>,
    log: (level, plugin, text) => void logged.push(`${level} ${plugin} ${text}`),
  };
  return { parts, guard, failed, hooks, vocabulary, logged };
}

const word = (name: string) =>
  ({ name, stages: ["rcpt"], args: z.tuple([]), description: "", compile: () => () => undefined }) as const;
const transport = (name: string, log: string[] = []) => ({
  name,
  description: "",
  deliver: async () => ({ destination: "alive" }) as const,
  close: async () => void log.push(`${name} closed`),
});
const scan = { name: "eye", description: "", scan: () => undefined };

describe("life", () => {
  test("set-up and ready in the order of the config, close in reverse, transports with their plugin", async () => {
    const { parts, guard } = build();
    const log: string[] = [];
    const plugin = (name: string) =>
      instanceOf(name, {
        async setup(gateway) {
          await Promise.resolve();
          log.push(`${name} setup`);
          gateway.transport(transport(name, log));
          gateway.onReady(() => void log.push(`${name} ready`));
          gateway.onClose(() => void log.push(`${name} close`));
        },
      });
    const set = await setUpPlugins([plugin("a"), plugin("b")], parts, { guard });
    await set.ready();
    await set.close();
    await set.close();
    expect(log).toEqual(["a setup", "b setup", "a ready", "b ready", "b close", "b closed", "a close", "a closed"]);
  });

  const hang = () => new Promise<never>(() => undefined);
  const faults: readonly [string, Partial<PluginDefinition>, RegExp][] = [
    [
      "throws in setup",
      {
        setup: () => {
          throw new TypeError("x is not a function");
        },
      },
      /^plugin bad: setup threw: x is not a function$/,
    ],
    ["rejects in setup", { setup: () => Promise.reject(new Error("later")) }, /^plugin bad: setup threw: later$/],
    [
      "throws no error",
      {
        setup: () => {
          throw "text" as unknown as Error;
        },
      },
      /^plugin bad: setup threw: text$/,
    ],
    [
      "says it itself",
      {
        setup: (gateway) => {
          throw new PluginError(gateway.name, "no address");
        },
      },
      /^plugin bad: no address$/,
    ],
    ["hangs in setup", { setup: hang }, /^plugin bad: setup did not end in time$/],
    [
      "throws in ready",
      {
        setup: (gateway) =>
          gateway.onReady(() => {
            throw new Error("no service");
          }),
      },
      /^plugin bad: ready threw: no service$/,
    ],
    ["hangs in ready", { setup: (gateway) => gateway.onReady(hang) }, /^plugin bad: ready did not end in time$/],
    ["requires what is not there", { requires: ["dkim"] }, /^plugin bad: requires "dkim"; it is not in "plugins"$/],
    ["requires what comes later", { requires: ["last"] }, /^plugin bad: requires "last"; put it before this one$/],
    [
      "takes another's word",
      { setup: (gateway) => gateway.restriction(word("mine")) },
      /^plugin bad: word "mine" is already registered by first$/,
    ],
    [
      "takes another's transport",
      { setup: (gateway) => gateway.transport(transport("first")) },
      /^plugin bad: transport "first" is registered already, by plugin first$/,
    ],
    [
      "takes a transport of the gateway's own",
      { setup: (gateway) => gateway.transport(transport("discard")) },
      /^plugin bad: the transport "discard" is the gateway's own$/,
    ],
    [
      "takes another's service",
      { setup: (gateway) => gateway.provide({ name: "ours" }, 1) },
      /^plugin bad: service "ours" is registered already, by plugin first$/,
    ],
    [
      "uses a service that nobody provides",
      { setup: (gateway) => void gateway.use({ name: "theirs" }) },
      /^plugin bad: no plugin before it provides the service "theirs"$/,
    ],
    ["scans without onError", { setup: (gateway) => gateway.scanner(scan) }, /^plugin bad: "onError" is missing/],
    [
      "registers a scanner with an unknown policy",
      { setup: (gateway) => gateway.scanner({ ...scan, onError: "accept" as never }) },
      /^plugin bad: .*is "accept"; it is one of defer, reject, quarantine, skip/,
    ],
    [
      "taps nowhere",
      { setup: (gateway) => gateway.hooks.smtp.mail.tap({ place: "front" as "sign" }, () => undefined) },
      /^plugin bad: .*no place "front"/,
    ],
  ];

  test.each(faults)("a plugin that %s is named, and those before it are closed", async (_, fields, expected) => {
    const { parts, guard } = build();
    const log: string[] = [];
    const first = instanceOf("first", {
      setup(gateway) {
        gateway.restriction(word("mine"));
        gateway.transport(transport("first", log));
        gateway.provide({ name: "ours" }, 0);
        gateway.onClose(() => void log.push("first close"));
      },
    });
    const all = [first, instanceOf("bad", fields), instanceOf("last", {})];
    const pending = setUpPlugins(all, parts, { guard }).then(async (set) => {
      try {
        await set.ready();
      } catch (error) {
        await set.close();
        throw error;
      }
    });
    const thrown = pending.catch((error: unknown) => error);
    await new Promise(setImmediate);
    clock.run();
    const error = await thrown;
    expect(error).toBeInstanceOf(PluginError);
    expect((error as PluginError).message).toMatch(expected);
    expect(log).toEqual(["first close", "first closed"]);
  });

  test("a failing close is reported and stops nothing", async () => {
    const { parts, guard, failed } = build();
    const log: string[] = [];
    const plugin = (name: string, call: () => void) => instanceOf(name, { setup: (gateway) => gateway.onClose(call) });
    const set = await setUpPlugins(
      [
        plugin("a", () => void log.push("a")),
        plugin("b", () => {
          throw new Error("b");
        }),
      ],
      parts,
      { guard },
    );
    await set.close();
    expect(log).toEqual(["a"]);
    expect(failed.map(({ owner, point }) => [owner.name, point])).toEqual([["b", "close"]]);
  });

  test("nothing is registered after setup, and the registry stays as it was", async () => {
    const { parts, guard, hooks, vocabulary } = build();
    let kept: Gateway | undefined;
    await setUpPlugins([instanceOf("late", { setup: (gateway) => void (kept = gateway) })], parts, { guard });
    const gateway = kept as Gateway;
    const calls = [
      () => gateway.restriction(word("late")),
      () => gateway.transport(transport("late")),
      () => gateway.scanner({ ...scan, onError: "defer" }),
      () => gateway.hooks.smtp.mail.tap(() => undefined),
      () => gateway.tables.use("static:x"),
      () => gateway.store("x"),
      () => gateway.stateStore({} as StateStore),
      () => gateway.sessionState(() => 0),
      () => gateway.provide({ name: "x" }, 1),
      () => gateway.onReady(() => undefined),
      () => gateway.onClose(() => undefined),
    ];
    for (const call of calls) expect(call).toThrow("plugin late: everything is registered in setup; it is over");
    expect(vocabulary.get("late")).toBeUndefined();
    expect(listHooks(hooks).flatMap(({ taps }) => taps)).toEqual([]);
  });

  test("what a gateway lends", async () => {
    const { parts, guard, logged, hooks } = build();
    const answer: Service<number> = { name: "answer" };
    const seen: unknown[] = [];
    const provider = instanceOf("provider", { setup: (gateway) => gateway.provide(answer, 42) });
    const user = instanceOf("user", {
      requires: ["answer"],
      setup(gateway) {
        seen.push(gateway.use(answer));
        const space = gateway.store("triplets", { maxEntries: 7 });
        expect(() => space.get("key")).toThrow(expect.objectContaining({ code: "STORE_UNAVAILABLE" }));
        gateway.hooks.smtp.mail.tap({ place: "sign" }, () => undefined);
        gateway.log.warn("two\nlines");
        const table = gateway.tables.use("static:x");
        expect(() => table.lookup("key")).toThrow(/not open before ready/);
        gateway.onReady(() => void seen.push(table.lookup("key"), space.get("key")));
      },
    });
    const set = await setUpPlugins([provider, user], parts, { guard });
    await set.ready();
    expect(seen).toEqual([42, "found", ["user/triplets", { maxEntries: 7 }, "key"]]);
    expect(logged).toEqual(["warn user two?lines"]);
    expect(listHooks(hooks).find(({ name }) => name === "smtp.mail")?.taps).toEqual([{ owner: "user", place: "sign" }]);
  });

  test("a plugin brings the state store, for those before it too; it is closed after all of them, and only one may", async () => {
    const log: string[] = [];
    const store = (name: string): StateStore => ({
      space: () => ({}) as StateSpace<never>,
      sweep: () => 0,
      close: () => void log.push(`store ${name}`),
    });
    const bringer = (name: string) =>
      instanceOf(name, {
        setup(gateway) {
          gateway.stateStore(store(name));
          gateway.onClose(() => void log.push(name));
        },
      });
    const user = instanceOf("user", { setup: (gateway) => gateway.onClose(() => void log.push("user")) });
    const { parts, guard } = build();
    await (await setUpPlugins([user, bringer("a")], parts, { guard })).close();
    expect(log).toEqual(["a", "user", "store a"]);
    log.length = 0;
    const again = build();
    await expect(setUpPlugins([bringer("a"), user, bringer("b")], again.parts, again)).rejects.toThrow(
      'plugin b: the "state store" is registered already, by plugin a',
    );
    expect(log).toEqual(["user", "a", "store a"]);
  });

  test("a session's state goes with the session, and a late call keeps nothing", () => {
    const { sessions } = createRegistrations();
    const count = sessions.slot(() => ({ n: 0 }));
    const other = sessions.slot(() => "other");
    const session = (id: string) => ({ id }) as Session;
    sessions.begin("a");
    sessions.begin("b");
    count(session("a")).n += 1;
    // By id, not by object: the same session may come as another object.
    expect([count(session("a")).n, count(session("b")).n, other(session("a"))]).toEqual([1, 0, "other"]);
    sessions.end("a");
    expect(count(session("a")).n).toBe(0);
    expect(sessions.size).toBe(1);
    sessions.end("b");
    expect(sessions.size).toBe(0);
  });
});
