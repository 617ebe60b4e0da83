// The child that runs in the shim's place: its exit status, its signals each once, and Ctrl-C in a real terminal.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith, programPath, temporaryFolder } from "../services/index.ts";

const lib = fileURLToPath(new URL("../../packages/cli/bin/child.js", import.meta.url));

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder[Symbol.dispose]());

/** A shim around this code; says nothing itself. */
function writeShim(code: string): string {
  const shim = join(folder.path, "shim.mjs");
  const child = join(folder.path, "child.mjs");
  writeFileSync(child, code);
  writeFileSync(
    shim,
    `import { runChild } from ${JSON.stringify(lib)};
process.exitCode = await runChild(process.execPath, [${JSON.stringify(child)}]);`,
  );
  return shim;
}

/** Says `ready`, counts what comes in for a while after the first signal, and says it. */
const counts = `const seen = [];
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => {
  if (seen.push(name) === 1) setTimeout(() => { console.log("seen", seen.join()); process.exit(7); }, 300);
});
setInterval(() => {}, 1000);
console.log("ready");`;

interface Ended {
  readonly output: string;
  readonly status: number | null;
}

/** Runs a program; `onReady` is called when the child is there. */
async function run(program: string, args: string[], onReady: (shim: ReturnType<typeof spawn>) => void): Promise<Ended> {
  const started = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  let ready = false;
  started.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (ready || !output.includes("ready")) return;
    ready = true;
    onReady(started);
  });
  const [status] = (await once(started, "close")) as [number | null];
  return { output, status };
}

test.each([
  ["process.exit(0)", 0],
  ["process.exit(65)", 65],
  ["process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)", 143],
  ["process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000)", 137],
])("hands on the end of a child that does %s", async (code, expected) => {
  const { status } = await run(process.execPath, [writeShim(code)], () => {});
  expect(status).toBe(expected);
});

test.each(["SIGTERM", "SIGHUP"] as const)("hands on %s once, however often it comes", async (name) => {
  const { output, status } = await run(process.execPath, [writeShim(counts)], (shim) => {
    shim.kill(name);
    setTimeout(() => shim.kill(name), 100);
  });
  expect(output).toContain(`seen ${name}\n`);
  expect(status).toBe(7);
});

describeWith(["python3"], "SIGINT", () => {
  // Python's pty module makes the child the leader of a session with a controlling terminal, as a shell's job is.
  const pty = `import os, pty, sys
pid, terminal = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
text = b""
while True:
  try: data = os.read(terminal, 4096)
  except OSError: break
  if not data: break
  text += data
  if b"ready" in data: os.write(terminal, b"\\x03")
print(text.decode().replace("\\r", ""))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;

  test("by Ctrl-C in a terminal reaches the child once and the shim waits for it", async () => {
    const { output, status } = await run(
      programPath("python3"),
      ["-c", pty, process.execPath, writeShim(counts)],
      () => {},
    );
    expect(output).toContain("seen SIGINT\n");
    expect(status).toBe(7);
  });

  test("without a terminal is handed on", async () => {
    const setsid = ["-c", "import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])"];
    const args = [...setsid, process.execPath, writeShim(counts)];
    const { output } = await run(programPath("python3"), args, (shim) => shim.kill("SIGINT"));
    expect(output).toContain("seen SIGINT\n");
  });
});
