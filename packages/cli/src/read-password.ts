/** A password from a person or a program: never from the command line, which everybody on the machine can read. */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { UsageError } from "./failure.ts";
import type { Output } from "./output.ts";

export interface PasswordSource {
  readonly output: Output;
  /** In place of the process's standard input; its first line is the password. */
  readonly input?: AsyncIterable<Uint8Array> | undefined;
  /** A person types it twice. */
  readonly twice: boolean;
}

const longestBytes = 1024;

/** Without echo from a terminal, else the first line. Throws `UsageError`. */
export async function readPassword({ output, input, twice }: PasswordSource): Promise<string> {
  if (input !== undefined || !process.stdin.isTTY) return check(await firstLine(input ?? process.stdin));
  const password = check(await ask("Password: ", output));
  if (twice && (await ask("Again: ", output)) !== password) throw new UsageError("the two passwords differ");
  return password;
}

function check(password: string): string {
  if (password === "") throw new UsageError("no password was given");
  if (Buffer.byteLength(password) > longestBytes) throw new UsageError(`a password has at most ${longestBytes} octets`);
  if (password.includes("\0")) throw new UsageError("a password has no NUL");
  return password;
}

async function firstLine(input: AsyncIterable<Uint8Array>): Promise<string> {
  let text = Buffer.alloc(0);
  for await (const chunk of input) {
    text = Buffer.concat([text, chunk]);
    if (text.includes(0x0a) || text.length > longestBytes + 2) break;
  }
  const end = text.indexOf(0x0a);
  const line = end < 0 ? text : text.subarray(0, end);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line).replace(/\r$/, "");
  } catch {
    throw new UsageError("the password is no UTF-8, and no mail program could send it");
  }
}

async function ask(prompt: string, output: Output): Promise<string> {
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: mute, terminal: true, historySize: 0 });
  // Not before the terminal has stopped to echo.
  output.warn(prompt);
  try {
    return await lines.question("");
  } catch {
    throw new UsageError("no password was given");
  } finally {
    lines.close();
    output.warn("\n");
  }
}
