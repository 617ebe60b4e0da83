import { expect, test } from "vitest";
import { parseNextHop } from "./next-hop.ts";

test.for<[text: string, host: string, port: number, mx: boolean]>([
  ["example.test", "example.test", 25, true],
  ["Example.TEST:2525", "example.test", 2525, true],
  ["[mail.example.test]", "mail.example.test", 25, false],
  ["[mail.example.test]:submission", "mail.example.test", 587, false],
  ["[192.0.2.1]:25", "192.0.2.1", 25, false],
  ["192.0.2.1", "192.0.2.1", 25, false],
  ["[2001:DB8::1]:2525", "2001:db8::1", 2525, false],
  ["[IPv6:2001:db8::1]", "2001:db8::1", 25, false],
  [" localhost:26 ", "localhost", 26, true],
])("%s", ([text, host, port, mx]) => {
  expect(parseNextHop(text)).toEqual({ host, port, mx });
});

test("a default port is for what names none", () => {
  expect(parseNextHop("[mail.example.test]", 24)?.port).toBe(24);
  expect(parseNextHop("[mail.example.test]:25", 24)?.port).toBe(25);
});

test.for(["", "[]", "[a", "a]", "a:b:c", "a:0", "a:65536", "a:", ":25", "a b", "2001:db8::1", "[a]b", "-a", "x@y"])(
  "%j is none",
  (text) => {
    expect(parseNextHop(text)).toBeUndefined();
  },
);
