import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ConfigError, PosternError } from "../errors.ts";
import { undisturbed } from "../../../../test/undisturbed.ts";
import { askControl } from "./client.ts";
import { openControl, type ControlCommands } from "./server.ts";

const root = mkdtempSync(join(tmpdir(), "postern-control-"));
afterAll(() => rmSync(root, { recursive: true }));

let count = 0;
const place = (): string => join(root, `run-${(count += 1)}`);
const commands: ControlCommands = {
  echo: (args) => args,
  later: async () => ({ sessions: 2 }),
  refuse: () => {
    throw new PosternError("STORE_FULL", "no room");
  },
  crash: () => {
    throw new TypeError("oops");
  },
};

/** What comes back for raw bytes, until the server closes or `lines` answers are there. */
function raw(path: string, text: string, lines: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = "";
    const socket = connect(path, () => socket.write(text));
    socket.on("data", (chunk: Buffer) => {
      got += chunk.toString();
      if (got.split("\n").length > lines) socket.destroy();
    });
    socket.on("close", () => resolve(got));
    socket.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "EPIPE" || error.code === "ECONNRESET" ? undefined : reject(error),
    );
  });
}

describe("control socket", () => {
  test("answers in a folder and on a socket that are its user's alone", async () => {
    const directory = place();
    const server = await openControl(directory, commands);
    expect([statSync(directory).mode & 0o777, statSync(server.path).mode & 0o777]).toEqual([0o700, 0o600]);
    expect(await askControl(directory, { command: "echo", args: { a: 1 } })).toEqual({ a: 1 });
    expect(await askControl(directory, { command: "later" })).toEqual({ sessions: 2 });
    await expect(askControl(directory, { command: "refuse" })).rejects.toThrow("no room");
    await expect(askControl(directory, { command: "crash" })).rejects.toThrow("oops");
    await expect(askControl(directory, { command: "ecco" })).rejects.toThrow(
      'knows no command "ecco"; did you mean "echo"?',
    );
    // Nothing inherited is a command.
    await expect(askControl(directory, { command: "toString" })).rejects.toThrow("knows no command");
    await server.close();
    expect(existsSync(server.path)).toBe(false);
  });

  test("an answer may take longer than anybody may be idle", async () => {
    const directory = place();
    const slow: ControlCommands = {
      slow: () => new Promise((resolve) => setTimeout(() => resolve("done"), 150)),
    };
    const server = await openControl(directory, slow, { idleMs: 30 });
    await undisturbed(async () => expect(await askControl(directory, { command: "slow" })).toBe("done"));
    expect(await raw(server.path, "", 1)).toBe("");
    await server.close();
  });

  test("a folder that was there keeps its mode; one that others may write is refused", async () => {
    const directory = place();
    mkdirSync(directory, { mode: 0o755 });
    const server = await openControl(directory, commands);
    expect([statSync(directory).mode & 0o777, statSync(server.path).mode & 0o777]).toEqual([0o755, 0o600]);
    await server.close();
    chmodSync(directory, 0o777);
    await expect(openControl(directory, commands)).rejects.toThrow(/control\.directory: \S+ may be written by others/);
  });

  test("several requests in one packet are answered in order, nonsense with a sentence", async () => {
    const directory = place();
    const server = await openControl(directory, commands);
    const text = '{"command":"later"}\n{"command":"echo","args":{"n":1}}\nnonsense\n[]\n{"command":"echo","args":7}\n';
    const answers = (await raw(server.path, text, 5))
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { ok: boolean }).ok);
    expect(answers).toEqual([true, true, false, false, false]);
    await server.close();
  });

  test("a request without end is cut off", async () => {
    const directory = place();
    const server = await openControl(directory, commands);
    expect(await raw(server.path, "x".repeat(1_000_000), 99)).toMatch(/a request is longer than 65536 bytes/);
    expect(await askControl(directory, { command: "later" })).toEqual({ sessions: 2 });
    await server.close();
  });

  test("the socket of a dead process is taken over, that of a living one is not", async () => {
    const directory = place();
    const first = await openControl(directory, commands);
    await expect(openControl(directory, commands)).rejects.toThrow(/a gateway is running already/);
    await first.close();
    // A process that was killed leaves its socket behind.
    const script = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", script, first.path]);
    expect(existsSync(first.path)).toBe(true);
    await expect(askControl(directory, { command: "later" })).rejects.toThrow(/no gateway is running/);
    const second = await openControl(directory, commands);
    expect(await askControl(directory, { command: "later" })).toEqual({ sessions: 2 });
    await second.close();
  });

  test("who stops a gateway hears when it has stopped", async () => {
    const directory = place();
    let close: () => Promise<void> = async () => undefined;
    const server = await openControl(directory, { stop: () => void setImmediate(() => void close()) });
    close = () => server.close();
    expect(await askControl(directory, { command: "stop" }, { untilClosed: true })).toBeNull();
    expect(existsSync(server.path)).toBe(false);
  });

  test.each<[string, () => string, RegExp]>([
    ["a parent that is not there", () => join(root, "gone", "run"), /control\.directory: \S+gone does not exist/],
    ["a file in its place", () => (writeFileSync(join(root, "file"), ""), join(root, "file")), /is no folder/],
    [
      "a path too long for a socket",
      () => join(root, "x".repeat(120)),
      /longer than a socket's path may be \(107 bytes\)/,
    ],
  ])("%s is one sentence", async (_, directory, expected) => {
    const error: unknown = await openControl(directory(), commands).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).toMatch(expected);
  });
});
