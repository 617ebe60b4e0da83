// What `postern passwd` says to a program: a hash, a line of a table, JSON, or one sentence.
import { verifyPassword } from "@postern/plugin-auth";
import { expect, test } from "vitest";
import { failureOf } from "../failure.ts";
import { runCommand } from "../program.ts";

async function passwd(
  args: readonly string[],
  input = "",
): Promise<{ status: number; stdout: string; stderr: string }> {
  let stdout = "";
  const output = { write: (text: string) => void (stdout += text), warn: () => undefined };
  const chunks = (async function* () {
    yield Buffer.from(input);
  })();
  try {
    const status = await runCommand(["passwd", ...args], { cwd: import.meta.dirname, output, input: chunks });
    return { status, stdout, stderr: "" };
  } catch (error) {
    const { exitCode, message } = failureOf(error);
    return { status: exitCode, stdout, stderr: message };
  }
}

test("the hash of a line of standard input, or a table's line, or JSON", async () => {
  const plain = await passwd([], "secret\nanother line\n");
  expect([plain.status, plain.stderr]).toEqual([0, ""]);
  expect(plain.stdout).toMatch(/^\$scrypt\$ln=16,r=8,p=1\$\S+\n$/);
  expect(verifyPassword("secret", plain.stdout.trim())).toBe(true);
  const line = await passwd(["--scheme", "bcrypt", "--identity", "user@example.test"], "secret");
  expect(line.stdout).toMatch(/^user@example\.test\t\$2b\$11\$\S{53}\n$/);
  const json = JSON.parse((await passwd(["--scheme", "sha512-crypt", "--json"], "secret\r\n")).stdout);
  expect(json).toEqual({ scheme: "sha512-crypt", hash: expect.stringMatching(/^\$6\$rounds=100000\$/) });
  const check = ["--check", json.hash];
  expect((await passwd(check, "secret")).status).toBe(0);
  expect(await passwd(check, "Secret")).toMatchObject({ status: 1, stdout: "the password is wrong\n" });
});

test.each([
  ["no password", [], "", /no password/],
  ["a scheme that is none", ["--scheme", "md5"], "secret\n", /there are scrypt, bcrypt/],
  ["a hash that is none", ["--check", "{PLAIN}secret"], "secret\n", /\{PLAIN\} is not taken/],
  ["an identity of two words", ["--identity", "a b"], "secret\n", /one word/],
  ["a password as an argument", ["secret"], "", /too many arguments/],
  ["what bcrypt would cut", ["--scheme", "bcrypt"], "x".repeat(73), /72 octets/],
])("%s: one sentence and 64", async (_, args, input, sentence) => {
  const ended = await passwd(args, input);
  expect([ended.status, ended.stdout]).toEqual([64, ""]);
  expect(ended.stderr).toMatch(sentence);
});
