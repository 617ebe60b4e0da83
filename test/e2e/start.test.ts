// The gateway as a user starts and ends it: processes, ports, signals.
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { embeddedConfig } from "../../packages/cli/src/embedded.ts";
import { firstMessage } from "../../packages/cli/src/greeting.ts";
import { command } from "./gateway.ts";

const root = mkdtempSync(join(tmpdir(), "postern-start-"));
const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});
afterAll(() => rmSync(root, { recursive: true }));

let count = 0;
function folder(config?: object): string {
  const path = mkdtempSync(join(root, `${(count += 1)}-`));
  if (config !== undefined) writeFileSync(join(path, "postern.config.json"), JSON.stringify(config), { mode: 0o600 });
  return path;
}

class Postern {
  readonly child: ChildProcess;
  readonly ended: Promise<number>;
  stdout = "";
  stderr = "";

  constructor(cwd: string, ...args: string[]) {
    const env = { ...process.env, POSTERN_CONFIG: "", DEBUG: undefined };
    this.child = spawn(process.execPath, ["--conditions=@postern/source", command, ...args], { cwd, env });
    children.add(this.child);
    this.child.stdout?.on("data", (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = new Promise((resolve) => this.child.on("close", (code) => resolve(code ?? -1)));
  }

  /** The ports, once it says that it listens. */
  async ready(): Promise<readonly number[]> {
    while (!this.stdout.includes("\n")) {
      await Promise.race([new Promise((resolve) => this.child.stdout?.once("data", resolve)), this.ended]);
      if (this.child.exitCode !== null && this.stdout === "") throw new Error(this.stderr);
    }
    const { listeners } = JSON.parse(this.stdout) as { listeners: { port: number }[] };
    return listeners.map(({ port }) => port);
  }
}

async function run(cwd: string, ...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const postern = new Postern(cwd, ...args);
  const status = await postern.ended;
  return { status, stdout: postern.stdout, stderr: postern.stderr };
}

function taken(): Promise<{ server: Server; port: number }> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () =>
      resolve({ server, port: (server.address() as AddressInfo).port }),
    );
  });
}

function greeting(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("data", (chunk: Buffer) => {
      socket.destroy();
      resolve(chunk.toString());
    });
    socket.once("error", reject);
  });
}

const good = {
  hostname: "mx.example.test",
  listeners: [{ host: "127.0.0.1", port: 0 }],
  queue: { directory: "./queue" },
  plugins: ["@postern/plugin-access", "@postern/plugin-transport-smtp"],
};

describe("postern start", () => {
  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s ends it cleanly, and it starts again in the same place",
    async (signal) => {
      const cwd = folder(good);
      for (let turn = 0; turn < 2; turn += 1) {
        const postern = new Postern(cwd, "start", "--json");
        const [port = 0] = await postern.ready();
        expect(await greeting(port)).toMatch(/^220 mx\.example\.test ESMTP Postern\r\n/);
        postern.child.kill(signal);
        postern.child.kill(signal); // as it comes to a whole process group: directly and by way of the shim
        expect([await postern.ended, existsSync(join(cwd, "run/postern.sock"))]).toEqual([0, false]);
      }
    },
  );

  test("after SIGKILL the next start takes the folder over", async () => {
    const cwd = folder(good);
    const first = new Postern(cwd, "start", "--json");
    await first.ready();
    first.child.kill("SIGKILL");
    await first.ended;
    expect(existsSync(join(cwd, "run/postern.sock"))).toBe(true);
    const second = new Postern(cwd, "start", "--json");
    await second.ready();
    expect((await run(cwd, "status", "--json")).status).toBe(0);
  });

  test("it goes on when the reader of its log is gone", async () => {
    const postern = new Postern(folder(good), "start", "--json");
    const [port = 0] = await postern.ready();
    postern.child.stderr?.destroy();
    for (let count = 0; count < 3; count += 1) expect(await greeting(port)).toMatch(/^220 /);
    postern.child.kill("SIGTERM");
    expect(await postern.ended).toBe(0);
  });

  test("status tells, stop ends, and a second gateway in the same place is refused", async () => {
    const cwd = folder(good);
    const postern = new Postern(cwd, "start", "--json");
    const [port = 0] = await postern.ready();
    const status = JSON.parse((await run(cwd, "status", "--json")).stdout) as object;
    expect(status).toMatchObject({ listeners: [{ host: "127.0.0.1", port }], queue: { messages: 0 } });
    const second = await run(cwd, "start");
    expect([second.status, second.stderr]).toEqual([
      75,
      expect.stringMatching(/^postern: queue\.directory \S+ is in use by another process\n$/),
    ]);
    expect(await run(cwd, "stop")).toEqual({ status: 0, stdout: "Stopped\n", stderr: "" });
    expect(await postern.ended).toBe(0);
  });

  test("a port that is taken: one sentence, nothing half started", async () => {
    const { server, port } = await taken();
    const cwd = folder({
      ...good,
      listeners: [
        { host: "127.0.0.1", port: 0 },
        { host: "127.0.0.1", port },
      ],
    });
    const ended = await run(cwd, "start");
    expect([ended.status, ended.stdout]).toEqual([69, ""]);
    expect(ended.stderr).toMatch(/^postern: listener \S+ cannot take 127\.0\.0\.1:\d+: the port is in use\n$/);
    expect(existsSync(join(cwd, "run/postern.sock"))).toBe(false);
    server.close();
    // The lock went with it.
    const free = folder(good);
    mkdirSync(join(free, "queue"), { mode: 0o700 });
    expect((await run(cwd, "check")).status).toBe(0);
  });

  const mistakes: readonly [name: string, patch: object, sentence: RegExp][] = [
    ["no config key for it", { listners: [] }, /: listners is not a known key; did you mean "listeners"\?\n$/],
    [
      "an unknown word",
      { policy: { rcpt: ["permit_mynetwork"] } },
      /: policy\.rcpt\[0\]: unknown word "permit_mynetwork"; did you mean "permit_mynetworks"\?\n$/,
    ],
    [
      "a table that is not there",
      { policy: { rcpt: ["check_client_access texthash:./gone"] } },
      /: policy\.rcpt\[0\]: .*gone: there is no such file\n$/,
    ],
    [
      "a plugin that is not there",
      { plugins: ["@postern/plugin-acces"] },
      /: plugins\[0\]: "@postern\/plugin-acces" is not installed; did you mean "@postern\/plugin-access"\?\n$/,
    ],
    [
      "a key that is none",
      { tls: { key: "./postern.config.json", cert: "./postern.config.json" } },
      /: tls\.cert: \S+ holds no certificate in PEM\n$/,
    ],
    ["a folder whose parent is not there", { queue: { directory: "./no/queue" } }, /state\.directory|queue\.directory/],
  ];
  test.each(mistakes)(
    "%s: check and start say so alike, each in sentences, and start begins nothing",
    async (_, patch, sentence) => {
      const cwd = folder({ ...good, ...patch });
      for (const verb of ["check", "start"]) {
        const ended = await run(cwd, verb);
        expect([verb, ended.status, ended.stdout]).toEqual([verb, 78, ""]);
        expect(ended.stderr).toMatch(sentence);
        expect(ended.stderr).toMatch(/^(postern: \S+ .*\n)+$/);
      }
      expect(existsSync(join(cwd, "run/postern.sock"))).toBe(false);
    },
  );

  test("check passes what init writes, and says what nobody will deliver", async () => {
    const cwd = folder();
    expect((await run(cwd, "init")).status).toBe(0);
    expect(await run(cwd, "check")).toEqual({
      status: 0,
      stdout: expect.stringMatching(/is right\n$/) as string,
      stderr: "",
    });
    const bare = folder({ ...good, plugins: ["@postern/plugin-access"] });
    expect((await run(bare, "check")).stderr).toMatch(/^postern: warning: no plugin provides the transport "smtp"/);
  });

  test("without a config it names init", async () => {
    const ended = await run(folder(), "start");
    expect([ended.status, ended.stderr]).toEqual([78, expect.stringMatching(/postern init writes one\n$/)]);
  });

  test("--defaults delivers the message that it says how to send", async () => {
    const { config } = embeddedConfig("/nowhere");
    expect(firstMessage(config.listeners[0] ?? { host: "", port: 0 })).toMatch(
      /^printf '.*' \| curl .*smtp:\/\/127\.0\.0\.1:2525\//,
    );
    // The embedded port may be in use here: the same config on a free one.
    const { server, port } = await taken();
    server.close();
    const cwd = folder({
      ...good,
      listeners: [{ host: "127.0.0.1", port }],
      domains: { virtualMailbox: ["example.test"] },
      plugins: ["@postern/plugin-access", ["@postern/plugin-transport-maildir", { directory: "./mail" }]],
    });
    const postern = new Postern(cwd, "start", "--json");
    await postern.ready();
    const sender = spawn("sh", ["-c", firstMessage({ host: "127.0.0.1", port })]);
    expect(await new Promise((resolve) => sender.on("close", resolve))).toBe(0);
    while (!postern.stderr.includes("removed"))
      await new Promise((resolve) => postern.child.stderr?.once("data", resolve));
    const [mail = ""] = globSync("mail/**/new/*", { cwd });
    expect(readFileSync(join(cwd, mail), "utf8")).toMatch(/^Subject: Hello\r?\n/m);
  });
});
