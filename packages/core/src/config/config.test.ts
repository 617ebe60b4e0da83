import { mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { describeConfig } from "./describe.ts";
import { explainIssues } from "./explain.ts";
import { findConfig } from "./find.ts";
import { loadConfig } from "./load.ts";
import { editDistance, findNearest } from "./nearest.ts";
import { ConfigProblems } from "./problem.ts";
import { redact } from "./redact.ts";
import { resolveConfig } from "./resolve.ts";
import { configSchema, defineConfig } from "./schema.ts";
import { listSchemaOptions } from "./schema-listing.ts";
import { Secret, secret } from "./secret.ts";
import { findDistrust } from "./trust.ts";
import { duration, parseDuration, parseSize, size } from "./units.ts";

const file = "/etc/postern/postern.config.json";
const good = {
  hostname: "mx.example.test",
  domains: { relay: ["example.test"] },
  listeners: [{ host: "127.0.0.1", port: 2525, xclient: ["127.0.0.1"] }],
  queue: { directory: "./var/queue" },
  plugins: ["@postern/plugin-access", ["@postern/plugin-greylist", { delay: "5m" }]],
  policy: { rcpt: ["permit_mynetworks", ["check_client_access", { "192.0.2.1": "REJECT" }]] },
  relayhost: "[127.0.0.1]:2526",
};

const folders: string[] = [];
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "postern-config-"));
  folders.push(path);
  return path;
}
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true });
});

function mistakes(written: object): string[] {
  try {
    resolveConfig(written, { file, systemHostname: "host.example.test" });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigProblems)) throw error;
    expect(error.message.split("\n").every((line) => line.startsWith(`${file}: `))).toBe(true);
    return error.problems.map(({ message }) => message);
  }
}

describe("mistakes are named by path, expectation, value and the nearest word", () => {
  test.each<[string, object, string[]]>([
    ["misspelt key", { listners: [] }, ['listners is not a known key; did you mean "listeners"?']],
    [
      "misspelt key of a required one is one mistake",
      { listeners: [{ host: "::1", prot: 25 }] },
      ['listeners[0].prot is not a known key; did you mean "port"?'],
    ],
    [
      "key like none",
      { dns: { colour: 1 } },
      [
        "dns.colour is not a known key; known are servers, timeout, attempts, deadline, cacheEntries, minTtl, maxTtl, maxNegativeTtl, failureTtl",
      ],
    ],
    ["wrong type", { listeners: [{ host: "::1", port: "25" }] }, ['listeners[0].port: expected a number, got "25"']],
    [
      "out of range",
      { listeners: [{ host: "::1", port: 70_000 }] },
      ["listeners[0].port: expected a number of at most 65535, got 70000"],
    ],
    ["nothing there", { tls: { key: "./k" } }, ["tls.cert: expected a string, nothing is there"]],
    ["empty list", { listeners: [] }, ["listeners: expected at least 1 entry, got a list"]],
    [
      "misspelt value",
      { policy: { mixed: "reject-al" } },
      ['policy.mixed: expected "reject-all", "discard" or "quarantine", got "reject-al"; did you mean "reject-all"?'],
    ],
    [
      "number without unit",
      { queue: { directory: "q", lifetime: 5 } },
      ['queue.lifetime: expected a duration such as "90s", "5m" or "1h30m", got 5'],
    ],
    [
      "size below its least",
      { limits: { messageSize: "1KB" } },
      ['limits.messageSize: expected a size of at least "64KB", got "1KB"'],
    ],
    [
      "host bits",
      { networks: ["10.0.0.1/8"] },
      ['networks[0]: expected no bits set after the prefix, as in "10.0.0.0/8", got "10.0.0.1/8"'],
    ],
    [
      "no network",
      { networks: ["home"] },
      ['networks[0]: expected a network such as "192.0.2.0/24" or "2001:db8::/32", got "home"'],
    ],
    [
      "inside a union",
      { domains: { relay: { domain: ["a.test"] } } },
      ['domains.relay.domain is not a known key; did you mean "domains"?'],
    ],
    [
      "outside a union",
      { domains: { relay: "a@b.test" } },
      ['domains.relay: expected a list of domains, a table, or an object with domains and recipients, got "a@b.test"'],
    ],
    [
      "list element",
      { domains: { relay: ["a@b.test"] } },
      ['domains.relay[0]: expected a domain such as "example.com", got "a@b.test"'],
    ],
    [
      "a network that looks like a table",
      { networks: ["fe80::1/64"] },
      ['networks[0]: expected no bits set after the prefix, as in "fe80::/64", got "fe80::1/64"'],
    ],
    [
      "a class that is an object of other keys",
      { domains: { relay: { "a.test": "x" } } },
      [
        "domains.relay.domains: expected a list of domains, or a table, nothing is there",
        'domains.relay["a.test"] is not a known key; known are domains, recipients',
      ],
    ],
    [
      "recipients that are none",
      { domains: { local: { domains: ["a.test"], recipients: ["a b"] } } },
      ['domains.local.recipients[0]: expected an address such as "user@example.com", got "a b"'],
    ],
    [
      "routes",
      { routes: ["[10.0.0.1]"] },
      ['routes[0]: expected a table such as "texthash:./file", or an object of key and value, got "[10.0.0.1]"'],
    ],
    [
      "policy entry",
      { policy: { rcpt: [5] } },
      ['policy.rcpt[0]: expected a word such as "permit_mynetworks", or ["word", argument, …], got 5'],
    ],
    [
      "line break in a banner",
      { listeners: [{ host: "::1", port: 1, banner: "a\nb" }] },
      ['listeners[0].banner: expected one line of printable ASCII, got "a\\nb"'],
    ],
    [
      "next-hop",
      { relayhost: "a [b" },
      ['relayhost: expected a next-hop such as "[mail.example.com]:587", "[192.0.2.1]" or "example.com", got "a [b"'],
    ],
    [
      "one domain in two classes",
      { domains: { relay: ["a.test"], local: ["A.test"] } },
      ['domains.relay: "a.test" is in domains.local already; a domain has one class'],
    ],
    [
      "TLS without key",
      { listeners: [{ host: "::1", port: 1, tls: "starttls" }] },
      ['listeners[0].tls: "starttls" needs a key and a certificate in the top-level "tls"'],
    ],
    [
      "a profile without a key",
      { listeners: [{ port: 587, profile: "submission" }] },
      ['listeners[0].profile: "submission" needs a key and a certificate in the top-level "tls"'],
    ],
    [
      "logins that could never be given",
      { listeners: [{ port: 587, profile: "submission", tls: "off" }] },
      ['listeners[0].auth: without TLS no password is taken; give the top-level "tls", or say "authWithoutTls": true'],
    ],
    [
      "a profile that is none",
      { listeners: [{ port: 465, profile: "smtps" }] },
      ['listeners[0].profile: expected "submission" or "submissions", got "smtps"'],
    ],
    [
      "two listeners at one place",
      { listeners: [good.listeners[0], good.listeners[0]] },
      ['listeners[1]: "127.0.0.1:2525" is the address of listeners[0] already'],
    ],
    [
      "two listeners of other names at one place",
      { listeners: [good.listeners[0], { ...good.listeners[0], name: "second" }] },
      ['listeners[1]: "127.0.0.1:2525" is the address of listeners[0] already'],
    ],
    [
      "backoff upside down",
      { queue: { directory: "q", minBackoff: "2h" } },
      ["queue.minBackoff: is longer than queue.maxBackoff"],
    ],
    [
      "a key and the entry that it stands for",
      { rewrite: { virtual: "texthash:./v" }, plugins: ["x", ["@postern/plugin-rewrite", {}]] },
      ["rewrite: stands for the entry of @postern/plugin-rewrite, and plugins[1] is one already; keep one of them"],
    ],
    [
      "keys that are not there yet",
      { compatibility: {}, log: "a" },
      [
        '"log" is not available in this version of Postern',
        '"compatibility" is not available in this version of Postern',
      ],
    ],
    [
      "a quarantine for longer than there are dates",
      { quarantine: { lifetime: "100000000d" } },
      ['quarantine.lifetime: expected a duration of at most "36500d", got "100000000d"'],
    ],
    [
      "a quarantine in the queue's folder",
      { queue: { directory: "./q" }, quarantine: { directory: "q/" } },
      ["quarantine.directory: is queue.directory; the quarantine needs a folder of its own"],
    ],
    [
      "values that are not there yet",
      { processes: "roles" },
      ['processes: "roles" is not available in this version of Postern'],
    ],
    [
      "all at once",
      { hostname: 5, relayhost: 6 },
      [
        'hostname: expected a domain such as "example.com", got 5',
        'relayhost: expected a next-hop such as "[mail.example.com]:587", "[192.0.2.1]" or "example.com", got 6',
      ],
    ],
  ])("%s", (_, patch, expected) => {
    expect(mistakes({ ...good, ...patch })).toEqual(expected);
  });

  test("a hostname is asked for when the system has none with a domain", () => {
    const { hostname: _, ...nameless } = good;
    expect(() => resolveConfig(nameless, { file, systemHostname: "box" })).toThrow(
      /hostname: the system's name "box" has no domain/,
    );
    expect(resolveConfig(nameless, { file, systemHostname: "Box.Example.test" }).hostname).toBe("box.example.test");
  });

  test("an author's own words stand in place of zod's", () => {
    const schema = z.strictObject({ kind: z.enum(["a"], { error: "say a, nothing else" }) });
    const value = { kind: "b" };
    const issues = schema.safeParse(value).error?.issues ?? [];
    expect(explainIssues(issues, { file, at: ["plugins", 2, 1], schema, value })).toEqual([
      { file, path: "plugins[2][1].kind", message: "plugins[2][1].kind: say a, nothing else" },
    ]);
  });
});

describe("what is resolved", () => {
  const config = resolveConfig(good, { file });

  test("paths are absolute, folders stand beside the queue, units are in the names", () => {
    expect(config.directory).toBe("/etc/postern");
    expect(config.queue).toEqual({
      directory: "/etc/postern/var/queue",
      minFreeBytes: 100 * 2 ** 20,
      segmentSizeBytes: 64 * 2 ** 20,
      minBackoffMs: 300_000,
      maxBackoffMs: 4_000_000,
      lifetimeMs: 5 * 86_400_000,
    });
    expect([config.state.directory, config.control.directory]).toEqual([
      "/etc/postern/var/state",
      "/etc/postern/var/run",
    ]);
    expect(config.limits.messageSizeBytes).toBe(50 * 2 ** 20);
  });

  test("nobody can change it", () => {
    const loose = config as unknown as {
      listeners: { port: number }[];
      plugins: { options: Record<string, unknown> }[];
    };
    expect(() => Object.assign(loose.listeners[0] ?? {}, { port: 1 })).toThrow(TypeError);
    expect(() => Object.assign(loose.plugins[1]?.options ?? {}, { delay: "1m" })).toThrow(TypeError);
    expect(() => loose.listeners.push({ port: 1 })).toThrow(TypeError);
  });

  test("STARTTLS is on when there is a key, and off without", () => {
    const withKey = resolveConfig({ ...good, tls: { key: "k.pem", cert: "/c.pem" } }, { file });
    expect(withKey.listeners[0]?.tls).toBe("starttls");
    expect(withKey.tls).toEqual({ key: "/etc/postern/k.pem", cert: "/c.pem" });
    expect(config.listeners[0]?.tls).toBe("off");
  });

  test("a profile fills in what the listener leaves out, and nothing else", () => {
    const tls = { key: "k.pem", cert: "c.pem" };
    const listeners = [
      { port: 587, profile: "submission" },
      { port: 465, profile: "submissions", policy: { rcpt: ["reject"] }, auth: "offered" },
      { port: 25 },
    ];
    const [submission, submissions, mx] = resolveConfig({ ...good, tls, listeners }, { file }).listeners;
    const own = { connect: [], helo: [], mail: [], relay: ["permit_sasl_authenticated", "reject"], data: [] };
    expect(submission).toMatchObject({
      host: "::",
      tls: "required",
      auth: "required",
      authWithoutTls: false,
      xclient: [],
    });
    expect(submission?.policy).toEqual({ ...own, rcpt: [] });
    expect(submissions).toMatchObject({ tls: "implicit", auth: "offered" });
    expect(submissions?.policy).toEqual({ ...own, rcpt: ["reject"] });
    expect(mx).toMatchObject({ tls: "starttls", auth: "off", policy: {} });
  });

  test("every key has a description", () => {
    const bare = listSchemaOptions(configSchema).filter(({ description }) => description === "");
    expect(bare).toEqual([]);
  });

  test("config show marks defaults and shows no secret", () => {
    const written = {
      ...good,
      plugins: [["./p.ts", { password: "hunter2", url: "mysql://u:hunter2@db/x", key: { file: "./k" } }]],
    };
    const settings = describeConfig(written, resolveConfig(written, { file }));
    expect(JSON.stringify(settings)).not.toContain("hunter2");
    expect(settings).toContainEqual({ path: "queue.directory", value: "/etc/postern/var/queue", default: false });
    expect(settings).toContainEqual({ path: "limits.messageSize", value: "50MB", default: true });
    expect(settings).toContainEqual({ path: "control.directory", value: "/etc/postern/var/run", default: true });
    expect(settings.find(({ path }) => path === "plugins")?.value).toEqual([
      ["./p.ts", { password: "[secret]", url: "mysql://u:[secret]@db/x", key: { file: "./k" } }],
    ]);
    expect(redact([new Secret({ env: "X" })])).toEqual(["[secret]"]);
  });

  test("defineConfig keeps the type of what it is given", () => {
    const typed = defineConfig({ listeners: [{ host: "::1", port: 25 }], queue: { directory: "./q" } });
    expect(typed.listeners[0]?.port).toBe(25);
    // @ts-expect-error a misspelt key is a mistake in the editor already
    defineConfig({ listeners: [{ host: "::1", prot: 25 }], queue: { directory: "./q" } });
  });
});

describe("units", () => {
  test.each([
    ["90s", 90_000],
    ["1h30m", 5_400_000],
    ["0.5d", 43_200_000],
    ["250ms", 250],
    ["0s", 0],
    ["5", undefined],
    ["5 m", undefined],
    ["-5m", undefined],
    ["5M", undefined],
    ["99999999999999w", undefined],
  ])("duration %s", (text, expected) => expect(parseDuration(text)).toBe(expected));

  test.each([
    ["512B", 512],
    ["25MB", 26_214_400],
    ["1.5gb", 1_610_612_736],
    ["25", undefined],
    ["25M", undefined],
    ["MB", undefined],
  ])("size %s", (text, expected) => expect(parseSize(text)).toBe(expected));

  test("a default is written with its unit, before or after describe", () => {
    const schema = z.strictObject({
      a: duration().default("5m").describe("a"),
      b: duration().describe("b").default("5m"),
      c: size().default("1KB").optional(),
    });
    expect(schema.parse({})).toEqual({ a: 300_000, b: 300_000, c: 1024 });
    expect(
      listSchemaOptions(schema).map(({ type, default: standard, description }) => [type, standard, description]),
    ).toEqual([
      ["duration", "5m", "a"],
      ["duration", "5m", "b"],
      ["size", "1KB", ""],
    ]);
  });
});

describe("secrets", () => {
  const schema = z.strictObject({ password: secret() });

  test("a value in place of a reference is refused and not repeated", () => {
    const value = { password: "hunter2" };
    const [problem] = explainIssues(schema.safeParse(value).error?.issues ?? [], { file, schema, value });
    expect(problem?.message).toMatch(/^password: expected a secret as \{ file: "…" \}/);
    expect(problem?.message).not.toContain("hunter2");
  });

  test("it is read when asked, and printed never", () => {
    const home = folder();
    writeFileSync(join(home, "password"), "hunter2\n");
    const { password } = schema.parse({ password: { file: "./password" } });
    expect(password.reveal(home)).toBe("hunter2");
    expect(new Secret({ env: "P" }).reveal(home, { P: "hunter3" })).toBe("hunter3");
    expect(new Secret({ credential: "password" }).reveal("/", { CREDENTIALS_DIRECTORY: home })).toBe("hunter2");
    expect(`${String(password)} ${inspect({ password })} ${JSON.stringify({ password })}`).not.toContain("hunter2");
    expect(() => new Secret({ file: "gone" }).reveal(home)).toThrow("the secret in file gone cannot be read (ENOENT)");
    expect(() => new Secret({ env: "NONE" }).reveal(home, {})).toThrow("the secret in env NONE is not there or empty");
  });
});

describe("finding", () => {
  const home = folder();
  const system = folder();
  const empty = folder();
  writeFileSync(join(home, "postern.config.json"), "{}");
  writeFileSync(join(system, "postern.config.yaml"), "{}");
  // A config of configs, and one in the parent, which nobody asks.
  mkdirSync(join(home, "sub"));
  writeFileSync(
    join(empty, "package.json"),
    JSON.stringify({ postern: {}, cosmiconfig: { searchPlaces: ["evil.js"] } }),
  );

  test.each<[string, Parameters<typeof findConfig>[0], string | undefined]>([
    [
      "--config from the current folder",
      { file: "postern.config.json", cwd: home, env: {} },
      join(home, "postern.config.json"),
    ],
    [
      "$POSTERN_CONFIG",
      { cwd: empty, env: { POSTERN_CONFIG: join(home, "postern.config.json") } },
      join(home, "postern.config.json"),
    ],
    ["the current folder before the system's", { cwd: home, env: {} }, join(home, "postern.config.json")],
    ["the system's", { cwd: empty, env: {} }, join(system, "postern.config.yaml")],
    ["no parent folder", { cwd: join(home, "sub"), env: {}, systemFolder: empty }, undefined],
  ])("%s", (_, options, expected) => expect(findConfig({ systemFolder: system, ...options })).toBe(expected));

  test.each<[string, Parameters<typeof findConfig>[0], RegExp]>([
    [
      "a named file that is not there",
      { file: "gone.json", cwd: home },
      /gone\.json, named by --config, does not exist$/,
    ],
    ["a folder", { cwd: home, env: { POSTERN_CONFIG: "." } }, /named by \$POSTERN_CONFIG, is no file$/],
  ])("%s", (_, options, expected) => expect(() => findConfig(options)).toThrow(expected));

  test("two configs side by side are no choice of ours", () => {
    const both = folder();
    writeFileSync(join(both, "postern.config.json"), "{}");
    writeFileSync(join(both, "postern.config.yaml"), "{}");
    expect(() => findConfig({ cwd: both, env: {} })).toThrow(/stand side by side; remove one/);
  });
});

describe("loading", () => {
  const text = JSON.stringify(good);
  test.each([
    ["json", text],
    [
      "yaml",
      `hostname: mx.example.test\nlisteners: [{ host: 127.0.0.1, port: 2525 }]\nqueue: { directory: ./var/queue }\n`,
    ],
    ["js", `export default ${text};`],
    ["ts", `const config: { hostname: string } = ${text};\nexport default config;`],
    ["mjs", `export default ({ env }) => ({ ...${text}, hostname: env.NAME });`],
  ])("%s", async (extension, content) => {
    const path = join(folder(), `postern.config.${extension}`);
    writeFileSync(path, content);
    const { config } = await loadConfig(path, { env: { NAME: "mx.example.test" } });
    expect([config.hostname, config.listeners[0]?.port]).toEqual(["mx.example.test", 2525]);
  });

  test.each([
    ["json", "{ nonsense", /^\S+: .*JSON/],
    ["yaml", "a: [", /^\S+: .+$/],
    ["json", "", /^\S+: the file is empty$/],
    ["yaml", "", /^\S+: the file is empty$/],
    ["js", "export const x = 1;", /no default export; write export default defineConfig/],
    ["mjs", "export default () => { throw new Error('no such thing') }", /the exported function threw: no such thing$/],
    ["json", "[]", /expected an object of settings$/],
    ["toml", "a = 1", /a config ends in \.ts, \.js, \.json or \.yaml$/],
  ])("broken %s %s is one sentence", async (extension, content, expected) => {
    const path = join(folder(), `postern.config.${extension}`);
    writeFileSync(path, content);
    const error: unknown = await loadConfig(path).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(expected);
    expect((error as Error).message).not.toContain("\n");
  });
});

describe.runIf(process.getuid?.() === 0)("as root [needs root]", () => {
  const asRoot = { uid: 0 };
  const cases: readonly [
    name: string,
    prepare: (home: string, path: string) => Promise<void> | void,
    expected: RegExp | undefined,
  ][] = [
    ["ours alone", () => undefined, undefined],
    ["file writable by others", (_, path) => chmod(path, 0o666), /it may be written by others; .*chmod go-w/],
    ["file writable by its group", (_, path) => chmod(path, 0o664), /it may be written by others/],
    ["file of another user", (_, path) => chown(path, 1234), /it belongs to user 1234; .*chown root/],
    ["folder writable by others", (home) => chmod(home, 0o777), /its folder \S+ may be written by others/],
    ["folder of another user", (home) => chown(home, 1234), /its folder \S+ belongs to user 1234/],
  ];

  async function chmod(path: string, mode: number): Promise<void> {
    (await import("node:fs")).chmodSync(path, mode);
  }
  async function chown(path: string, uid: number): Promise<void> {
    (await import("node:fs")).chownSync(path, uid, -1);
  }

  test.each(cases)("%s", async (_, prepare, expected) => {
    const home = folder();
    const path = join(home, "postern.config.json");
    writeFileSync(path, JSON.stringify(good), { mode: 0o600 });
    await prepare(home, path);
    const loaded = loadConfig(path, { trust: asRoot });
    if (expected === undefined) await expect(loaded).resolves.toBeDefined();
    else await expect(loaded).rejects.toThrow(expected);
    // Who is not root has nothing to lose.
    await expect(loadConfig(path, { trust: { uid: 1000 } })).resolves.toBeDefined();
  });

  test("a link is as good as the folder it stands in", async () => {
    const [home, open] = [folder(), folder()];
    const path = join(home, "postern.config.json");
    writeFileSync(path, JSON.stringify(good), { mode: 0o600 });
    symlinkSync(path, join(open, "postern.config.json"));
    await chmod(open, 0o777);
    expect(findDistrust(join(open, "postern.config.json"), asRoot)).toMatch(/its folder/);
  });
});

describe("the nearest word", () => {
  test.each([
    ["prot", ["port", "host"], "port"],
    ["greylst", ["greylist", "access"], "greylist"],
    ["PERMIT_MYNETWORK", ["permit_mynetworks"], "permit_mynetworks"],
    ["zebra", ["port", "host"], undefined],
    ["x", [], undefined],
    ["a".repeat(101), ["a"], undefined],
  ])("%s", (word, known, expected) => expect(findNearest(word, known)).toBe(expected));

  test("distance counts a swap of neighbours as one", () => {
    expect([editDistance("port", "prot"), editDistance("", "abc"), editDistance("kitten", "sitting")]).toEqual([
      1, 3, 3,
    ]);
  });
});

test("classes, networks and routes are lists, tables, files, or both parts", () => {
  const table = { type: "mysql", hosts: "127.0.0.1", password: { file: "./secret" }, query: "SELECT 1" };
  const written = {
    ...good,
    networks: ["!192.0.2.1", "192.0.2.0/24", "cidr:./nets", "./more", "::1"],
    domains: {
      local: "Local.test",
      relay: table,
      virtualAlias: ["A.test", "! B.test", "/etc/domains", "hash:./x", table, { "c.test": "x" }],
      virtualMailbox: { domains: "mysql:./domains.cf", recipients: ["joe@box.test", "texthash:./boxes"] },
    },
    routes: { "*": "smtp:[10.0.0.1]" },
  };
  const { networks, domains, routes } = resolveConfig(written, {
    file: "/etc/postern/x.json",
    systemHostname: "h.test",
  });
  expect({ networks, domains, routes }).toEqual({
    networks: written.networks,
    domains: {
      local: { domains: "local.test" },
      relay: { domains: table },
      virtualAlias: { domains: ["a.test", "!b.test", "/etc/domains", "hash:./x", table, { "c.test": "x" }] },
      virtualMailbox: written.domains.virtualMailbox,
    },
    routes: [{ "*": "smtp:[10.0.0.1]" }],
  });
});
