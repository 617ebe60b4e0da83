// What `postern table query` answers and how it ends, case by case, in this process.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { failureOf, formatFailure } from "../failure.ts";
import { runCommand } from "../program.ts";

const cwd = mkdtempSync(join(tmpdir(), "postern-query-"));
afterAll(() => rmSync(cwd, { recursive: true }));
writeFileSync(
  join(cwd, "clients"),
  "# ours\nspam.test REJECT\n192.0.2 OK\n<> DUNNO\nuser@a.test one\njoe bob\n@a.test all\n",
);
writeFileSync(join(cwd, "rules"), "/^(.+)@x\\.test$/ $1\n");

async function query(args: readonly string[], input: readonly (string | Buffer)[] = []) {
  let stdout = "";
  let stderr = "";
  const output = { write: (text: string) => void (stdout += text), warn: (text: string) => void (stderr += text) };
  async function* stdin() {
    for (const chunk of input) yield Buffer.from(chunk);
  }
  try {
    const status = await runCommand(["table", "query", ...args], { cwd, output, input: stdin() });
    return { status, stdout, stderr };
  } catch (error) {
    const failure = failureOf(error);
    return { status: failure.exitCode, stdout, stderr: stderr + formatFailure(failure, false) };
  }
}

describe("table query", () => {
  const down = "pipemap:{ inline:{ a=x, b=y }, fail:x }";

  test.each<[name: string, args: string[], status: number, stdout: string, stderr?: RegExp]>([
    ["one key is its value", ["texthash:clients", "SPAM.test"], 0, "REJECT\n"],
    ["one key that is not there is nothing", ["texthash:clients", "ham.test"], 1, ""],
    ["several keys", ["texthash:clients", "no", "spam.test", "<>"], 0, "spam.test\tREJECT\n<>\tDUNNO\n"],
    ["several, none is there", ["texthash:clients", "no", "nor"], 1, ""],
    ["a type of a package", ["pcre:rules", "me@x.test"], 0, "me\n"],
    ["an object", ['{ "type": "static", "name": "x y" }', "any"], 0, "x y\n"],
    ["entries", ['{ "a": "b" }', "A"], 0, "b\n"],
    ["a lone - among others is a key", ["inline:{ -=dash }", "-", "a"], 0, "-\tdash\n"],
    ["a key like an option", ["--", "inline:{ -x=dash }", "-x"], 0, "dash\n"],
    ["the empty key", ["static:x", ""], 0, "x\n"],
    ["it could not be asked", ["fail:x", "a"], 75, "", /^postern: key "a": table fail:x: it always fails\n$/],
    [
      "some could not, the others are asked",
      [down, "a", "2", "b"],
      75,
      "",
      /^postern: key "a": .*\npostern: key "b": .*\n$/,
    ],
    ["no file", ["texthash:gone", "a"], 78, "", /^postern: table texthash:gone: \S+\/gone: there is no such file\n$/],
    ["no type", ["nosuch:x", "a"], 78, "", /^postern: unknown table type "nosuch" in "nosuch:x"/],
    ["a type by mistake", ["texthsh:x", "a"], 78, "", /did you mean "texthash"\?\n$/],
    ["no table", ["clients", "a"], 78, "", /^postern: "clients" is no table: write type:name/],
    ["no JSON", ["{a", "a"], 64, "", /^postern: the table is no JSON: /],
    ["no key", ["texthash:clients"], 64, "", /^postern: missing required argument 'keys'\n$/],
    [
      "no such order",
      ["--as", "acess", "static:x", "a"],
      64,
      "",
      /^postern: option '--as <order>' argument 'acess' is invalid/,
    ],
    [
      "an order's option alone",
      ["--sender", "a@b", "static:x", "a"],
      64,
      "",
      /^postern: --sender belongs to a search order/,
    ],
  ])("%s", async (_, args, status, stdout, stderr = /^$/) => {
    const ended = await query(args);
    expect(ended.stderr).toMatch(stderr);
    expect([ended.status, ended.stdout]).toEqual([status, stdout]);
  });

  test.each<[name: string, args: string[], status: number, stdout: string]>([
    ["access, the domain", ["access", "texthash:clients", "me@spam.test"], 0, "REJECT\n"],
    ["access, the null sender", ["access", "texthash:clients", "<>"], 0, "DUNNO\n"],
    ["virtual, not the domain alone", ["virtual", "texthash:clients", "me@spam.test"], 1, ""],
    [
      "virtual, the extension",
      ["virtual", "texthash:clients", "user+x@a.test", "--recipient-delimiter", "-+"],
      0,
      "one\n",
    ],
    ["virtual, nobody's extension", ["virtual", "texthash:clients", "user+x@a.test"], 0, "all\n"],
    [
      "canonical, a local user",
      ["canonical", "texthash:clients", "joe@B.test", "--local-domain", "b.test"],
      0,
      "bob\n",
    ],
    ["canonical, a stranger", ["canonical", "texthash:clients", "joe@b.test", "--local-domain", "c.test"], 1, ""],
    ["client, the network", ["client", "texthash:clients", "192.0.2.9"], 0, "OK\n"],
    [
      "client, the name first",
      ["client", "texthash:clients", "192.0.2.9", "--client-name", "x.spam.test"],
      0,
      "REJECT\n",
    ],
    ["pattern tables get the whole key alone", ["access", "pcre:{ {/^x\\.test$/ 1} }", "a@x.test"], 1, ""],
    [
      "sasl-password, by the sender",
      ["sasl-password", "texthash:clients", "mx", "--sender", "user@a.test"],
      0,
      "one\n",
    ],
  ])("--as %s", async (_, args, status, stdout) => {
    const ended = await query(["--as", ...args]);
    expect(ended).toEqual({ status, stdout, stderr: "" });
  });
});

describe("table query -", () => {
  test.each<[name: string, input: (string | Buffer)[], stdout: string, stderr: string, status: number]>([
    ["lines", ["a\nb\n"], "a\tx\nb\tx\n", "", 0],
    ["no last newline", ["a\nb"], "a\tx\nb\tx\n", "", 0],
    ["empty lines are keys", ["\n\n"], "\tx\n\tx\n", "", 0],
    ["blanks and CR belong to the key", [" a \r\n"], " a \r\tx\n", "", 0],
    ["a key in pieces", ["a", "b", "c\nd"], "abc\tx\nd\tx\n", "", 0],
    ["a letter in pieces", [Buffer.from([0xc3]), Buffer.from([0xa4, 0x0a])], "ä\tx\n", "", 0],
    ["nothing", [], "", "", 1],
    [
      "octets that are no text",
      [Buffer.from([0x61, 0xe4, 0x0a, 0x62])],
      "b\tx\n",
      'postern: key "a\ufffd": it is not UTF-8, no table has it\n',
      0,
    ],
    [
      "a key without end",
      ["a", "b", "c"].map((letter) => letter.repeat(600_000)).concat("\nd\n"),
      "d\tx\n",
      `postern: key "${"a".repeat(100)}": it is longer than 1 MiB\n`,
      75,
    ],
  ])("%s", async (_, input, stdout, stderr, status) => {
    expect(await query(["static:x", "-"], input)).toEqual({ status, stdout, stderr });
  });
});
