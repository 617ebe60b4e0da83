// postern passwd at a terminal: nothing of what is typed is shown.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { verifyPassword } from "@postern/plugin-auth";
import { expect, it } from "vitest";
import { command, repository } from "../e2e/gateway.ts";
import { describeWith } from "../services/describe-with.ts";

const terminal = `
import os, pty, sys
# Standard input and error are a terminal, standard output is read by a program.
sys.exit(os.waitstatus_to_exitcode(pty.spawn(["sh", "-c", 'exec "$@" >"$OUT"', "sh", *sys.argv[1:]])))
`;

describeWith(["python3"], "postern passwd at a terminal", () => {
  async function type(words: readonly string[]): Promise<{ screen: string; status: number | null }> {
    const args = [
      "-c",
      terminal,
      process.execPath,
      "--conditions=@postern/source",
      command,
      "passwd",
      "--scheme",
      "sha256-crypt",
    ];
    const child = spawn("python3", args, { cwd: repository, env: { ...process.env, OUT: "/dev/stderr" } });
    let screen = "";
    const waiting = [...words];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      screen += text;
      if (/(?:Password|Again): $/.test(screen)) child.stdin.write(waiting.shift() ?? "\u0003");
    });
    const [status] = (await once(child, "close")) as [number | null];
    return { screen, status };
  }

  it("asks twice and shows nothing of it", async () => {
    const { screen, status } = await type(["sEcret\r", "sEcret\r"]);
    expect(status).toBe(0);
    const hash = /\$5\$\S+/.exec(screen)?.[0] ?? "";
    expect(verifyPassword("sEcret", hash)).toBe(true);
    expect(screen.replace(hash, "")).not.toContain("sEcret");
  });

  it("takes no two different ones, and Ctrl-C for an answer", async () => {
    expect(await type(["one\r", "two\r"])).toMatchObject({ status: 64, screen: expect.stringContaining("differ") });
    expect(await type(["\u0003"])).toMatchObject({ status: 64, screen: expect.stringContaining("no password") });
  });
});
