// Replies of Redis in any pieces, and what a server may not do to our memory and time.
import { expect, test } from "vitest";
import { randomFrom, sample, seed } from "../../../test/sampling.ts";
import type { ReplyReader } from "./connection.ts";
import { ExchangeError } from "./exchange-error.ts";
import { okReader, replyReader, writeCommand } from "./resp.ts";

/** As a connection gives them: all that came, and how much of it was there before. */
function feed<T>(read: ReplyReader<T>, bytes: Buffer, cuts: readonly number[] = []): ReturnType<ReplyReader<T>> {
  let seen = 0;
  for (const end of [...cuts, bytes.length]) {
    const reply = read(bytes.subarray(0, end), seen);
    if (reply !== undefined) return reply;
    seen = end;
  }
  return undefined;
}

const replies = [
  { text: "$3\r\nabc\r\n", value: Buffer.from("abc") },
  { text: "$0\r\n\r\n", value: Buffer.from("") },
  { text: "$4\r\n\r\n\r\n\r\n", value: Buffer.from("\r\n\r\n") },
  { text: "$-1\r\n", value: null },
  { text: ":1\r\n", value: 1 },
  { text: "+OK\r\n", value: "OK" },
  { text: "*0\r\n", value: [] },
  {
    text: "*3\r\n$1\r\na\r\n$0\r\n\r\n$2\r\n\r\n\r\n",
    value: [Buffer.from("a"), Buffer.from(""), Buffer.from("\r\n")],
  },
];

test("in any pieces, with or without something behind", () => {
  const random = randomFrom(seed);
  for (let round = 0; round < sample(500, 10_000); round++) {
    for (const { text, value } of replies) {
      const bytes = Buffer.from(text + (random() < 0.5 ? "$1\r\n" : ""));
      const cuts = Array.from(text, (_, at) => at + 1).filter((at) => at < text.length && random() < 0.5);
      expect({ text, cuts, reply: feed(replyReader(100), bytes, cuts), seed }).toEqual({
        text,
        cuts,
        reply: { value, used: text.length },
        seed,
      });
    }
  }
});

test("a reader that was left in the middle of a list begins anew", () => {
  const read = replyReader(100);
  expect(read(Buffer.from("*2\r\n$1\r\na\r\n"), 0)).toBeUndefined();
  expect(read(Buffer.from("*1\r\n$1\r\nb\r\n"), 0)?.value).toEqual([Buffer.from("b")]);
});

test("errors of the server: of the key alone, or of the server", () => {
  const denial = (text: string) => replyReader(100)(Buffer.from(`${text}\r\n`), 0)?.value as ExchangeError;
  expect(denial("-WRONGTYPE Operation against a key")).toMatchObject({ trouble: "denied", onlyThisKey: true });
  expect(denial("-NOAUTH Authentication required.")).toMatchObject({ trouble: "denied", onlyThisKey: false });
  expect(denial("-LOADING \x1b[31m").message).toBe('the server says "LOADING ?[31m"');
  expect(() => okReader(2)(Buffer.from("+OK\r\n-WRONGPASS no\r\n"), 0)).toThrow(/WRONGPASS/);
  expect(okReader(2)(Buffer.from("+OK\r\n+OK\r\n"), 0)).toEqual({ value: undefined, used: 10 });
});

test.for([
  { name: "a long string", text: "$101\r\n", onlyThisKey: true },
  { name: "a list of many", text: `*1000000000\r\n${"$1\r\na\r\n".repeat(20)}`, onlyThisKey: true },
  { name: "a list of empty ones", text: `*1000000000\r\n${"$0\r\n\r\n".repeat(20)}`, onlyThisKey: true },
  { name: "a line without an end", text: "+".padEnd(5000, "x"), onlyThisKey: false },
  { name: "a number without an end", text: "$".padEnd(5000, "1"), onlyThisKey: false },
])("over the limit: $name", ({ text, onlyThisKey }) => {
  let error: unknown;
  try {
    feed(replyReader(100), Buffer.from(text), [1, 5]);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(ExchangeError);
  expect(error).toMatchObject({ trouble: "rubbish", onlyThisKey });
});

test("a list that drips is gone through once", () => {
  const one = "$2\r\nab\r\n";
  const bytes = Buffer.from(`*50000\r\n${one.repeat(50_000)}`);
  const head = "*50000\r\n".length;
  const read = replyReader(bytes.length);
  let seen = 0;
  // Quadratic work would be ten thousands of millions of steps.
  for (let at = 1; at < 50_000; at++) {
    expect(read(bytes.subarray(0, head + at * one.length), seen)).toBeUndefined();
    seen = head + at * one.length;
  }
  expect(read(bytes, seen)?.value).toHaveLength(50_000);
});

test("a command is an array of strings with their lengths in octets", () => {
  expect(writeCommand(["GET", "ä\r\n"]).toString()).toBe("*2\r\n$3\r\nGET\r\n$4\r\nä\r\n\r\n");
});
