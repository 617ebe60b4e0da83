// The command as a user runs it: a process of its own in a folder of its own.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { command, repository } from "./gateway.ts";
import { run, type Ended } from "./run.ts";

const root = mkdtempSync(join(tmpdir(), "postern-cli-"));
afterAll(() => rmSync(root, { recursive: true }));

let count = 0;
function folder(files: Readonly<Record<string, string | object>> = {}): string {
  const path = mkdtempSync(join(root, `${(count += 1)}-`));
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(path, name), typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 });
  }
  return path;
}

async function postern(cwd: string, ...args: string[]): Promise<Ended> {
  const env = { ...process.env, POSTERN_CONFIG: "", DEBUG: undefined };
  const ended = await run(process.execPath, ["--conditions=@postern/source", command, ...args], { cwd, env });
  return { ...ended, stderr: Buffer.from(ended.stderr, "latin1").toString() };
}

const good = {
  hostname: "mx.example.test",
  listeners: [{ host: "127.0.0.1", port: 0 }],
  queue: { directory: "./queue" },
  plugins: ["@postern/plugin-access"],
};

describe("postern", () => {
  test("output that finds no room is one sentence; a reader that has seen enough is no error", async () => {
    const shell = (tail: string): Promise<Ended> =>
      run("/bin/sh", ["-c", `"$0" --conditions=@postern/source "$1" --help ${tail}`, process.execPath, command]);
    const { status, stderr } = await shell(">/dev/full");
    expect([status, stderr]).toEqual([73, "postern: standard output cannot be written (ENOSPC)\n"]);
    expect(await shell("| true")).toMatchObject({ status: 0, stderr: "" });
  });

  test.each<[name: string, args: string[], status: number, sentence: RegExp]>([
    ["a wrong command", ["strat"], 64, /^postern: unknown command 'strat'; did you mean start\?\n$/],
    ["a wrong option", ["start", "--confg", "x"], 64, /^postern: unknown option '--confg'; did you mean --config\?\n$/],
    [
      "a wrong command below another",
      ["config", "shwo"],
      64,
      /^postern: unknown command 'shwo'; did you mean show\?\n$/,
    ],
    ["no command", [], 64, /^postern: say what to do; postern --help lists the commands\n$/],
    ["no config", ["config", "show"], 78, /^postern: there is no postern\.config\.ts .*; postern init writes one\n$/],
    [
      "a config that is not there",
      ["check", "--config", "gone.json"],
      78,
      /^postern: \S+gone\.json, named by --config, does not exist\n$/,
    ],
  ])("%s is one sentence and a status", async (_, args, status, sentence) => {
    const ended = await postern(folder(), ...args);
    expect(ended.stderr).toMatch(sentence);
    expect([ended.status, ended.stdout]).toEqual([status, ""]);
  });

  test("no running gateway", async () => {
    const ended = await postern(folder({ "postern.config.json": good }), "status");
    expect([ended.status, ended.stderr]).toEqual([
      69,
      expect.stringMatching(/^postern: no gateway is running: nobody answers on \S+\/run\/postern\.sock\n$/),
    ]);
  });

  test("--json makes errors JSON, with each mistake by file and path", async () => {
    const cwd = folder({ "postern.config.json": { ...good, listners: [], relayhost: 5 } });
    const ended = await postern(cwd, "plugin", "list", "--json");
    const { error } = JSON.parse(ended.stderr) as { error: { code: string; problems: { path: string }[] } };
    expect([ended.status, error.code, error.problems.map(({ path }) => path)]).toEqual([
      78,
      "CONFIG_INVALID",
      ["relayhost", "listners"],
    ]);
  });

  test("--version, --help, words and hooks need no config", async () => {
    const cwd = folder();
    const { version } = JSON.parse(readFileSync(join(repository, "packages/cli/package.json"), "utf8")) as {
      version: string;
    };
    expect(await postern(cwd, "--version")).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
    expect((await postern(cwd, "--help")).stdout).toContain("words");
    const words = JSON.parse((await postern(cwd, "words", "--json")).stdout) as { name: string; plugin: string }[];
    expect(words).toContainEqual(expect.objectContaining({ name: "permit_mynetworks", plugin: "access" }));
    const hooks = JSON.parse((await postern(cwd, "hooks", "--json")).stdout) as { name: string; kind: string }[];
    expect(hooks[0]).toMatchObject({ name: "smtp.connect", kind: "first", args: ["session"] });
    expect((await postern(cwd, "hooks")).stdout).toMatch(/^HOOK +KIND +ARGUMENTS +TAPPED BY\n/);
  });

  test("init writes a config that the other commands read, and overwrites nothing unasked", async () => {
    // As `npm init` leaves a folder: CommonJS by name, and nothing installed.
    const cwd = folder({ "package.json": { name: "mine", type: "commonjs" } });
    expect((await postern(cwd, "init")).status).toBe(0);
    const shown = await postern(cwd, "config", "show");
    expect([shown.status, shown.stderr]).toEqual([0, ""]);
    expect(shown.stdout).toMatch(/^listeners\[0\]\.port +2525$/m);
    expect(shown.stdout).toMatch(/^limits\.recipients +1000 {2}# default$/m);
    expect((await postern(cwd, "plugin", "list")).stdout).toMatch(
      /^maildir +@postern\/plugin-transport-maildir +defer +transport maildir$/m,
    );
    const again = await postern(cwd, "init");
    expect([again.status, again.stderr]).toEqual([
      73,
      expect.stringMatching(/is there already; --force overwrites it\n$/),
    ]);
    expect((await postern(cwd, "init", "--force")).status).toBe(0);
  });

  test("no command shows a secret", async () => {
    const password = "hunter2";
    const options = { password, nested: [{ token: password }], url: `ldap://u:${password}@host/` };
    const cwd = folder({
      "postern.config.json": { ...good, plugins: [["./p.mjs", options]] },
      "p.mjs": `import { definePlugin, secret } from "@postern/core"; import { z } from "zod";
        export default definePlugin({ name: "p", apiVersion: 1, setup() {}, options: z.object({ password: secret(), url: z.int() }) });`,
    });
    for (const args of [
      ["config", "show"],
      ["config", "show", "--json"],
      ["plugin", "list"],
      ["hooks"],
      ["words", "--json"],
    ]) {
      const { stdout, stderr } = await postern(cwd, ...args);
      expect(stdout + stderr).not.toContain(password);
    }
    expect((await postern(cwd, "plugin", "list")).stderr).toMatch(
      /plugins\[0\]\[1\]\.password: expected a secret as \{ file: "…" \}/,
    );
  });

  test("a local plugin in TypeScript, with its taps and mistakes", async () => {
    const plugin = `import { definePlugin, type Session } from "@postern/core"; import { z } from "zod";
      export default definePlugin({ name: "local", apiVersion: 1, options: z.strictObject({ tag: z.string().default("x") }),
        setup(gateway) { gateway.hooks.smtp.connect.tap({ place: "observe" }, (session: Session) => void session.id); } });`;
    const cwd = folder({ "postern.config.json": { ...good, plugins: ["./local.ts"] }, "local.ts": plugin });
    expect((await postern(cwd, "hooks")).stdout).toMatch(/^smtp\.connect +first +session +local \(observe\)$/m);
    writeFileSync(join(cwd, "postern.config.json"), JSON.stringify({ ...good, plugins: [["./local.ts", { tga: 1 }]] }));
    expect((await postern(cwd, "hooks")).stderr).toMatch(
      /postern\.config\.json: plugins\[0\]\[1\]\.tga is not a known key; did you mean "tag"\?\n$/,
    );
  });

  test.runIf(process.getuid?.() === 0)(
    "as root, no config and no plugin that others may write [needs root]",
    async () => {
      const cwd = folder({ "postern.config.json": good, "p.mjs": "globalThis.ran = true;" });
      chmodSync(join(cwd, "postern.config.json"), 0o666);
      const ended = await postern(cwd, "check");
      expect([ended.status, ended.stderr]).toEqual([
        78,
        expect.stringMatching(
          /it may be written by others; root uses only what root alone may write \(chmod go-w \S+\)\n$/,
        ),
      ]);
      chmodSync(join(cwd, "postern.config.json"), 0o600);
      writeFileSync(join(cwd, "postern.config.json"), JSON.stringify({ ...good, plugins: ["./p.mjs"] }));
      chmodSync(join(cwd, "p.mjs"), 0o666);
      expect((await postern(cwd, "hooks")).stderr).toMatch(/plugins\[0\]: \S+p\.mjs: it may be written by others/);
    },
  );
});
