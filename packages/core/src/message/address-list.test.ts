import { describe, expect, test } from "vitest";
import { findAddresses } from "./address-list.ts";

describe("addresses of a field", () => {
  test.for<[value: string, texts: readonly string[]]>([
    [" joe@a.test", ["joe@a.test"]],
    [" joe", ["joe"]],
    ["joe@a.test,ann@b.test , bob", ["joe@a.test", "ann@b.test", "bob"]],
    [" Joe Doe <joe@a.test>", ["joe@a.test"]],
    [' "Doe, Joe" <joe@a.test>,\r\n\t<ann@b.test>\r\n', ["joe@a.test", "ann@b.test"]],
    [' "joe@not.test" <joe@a.test>', ["joe@a.test"]],
    [" joe @ a . test", ["joe@a.test"]],
    [" joe\r\n @a.test", ["joe@a.test"]],
    [' "joe b"@a.test', ['"joe b"@a.test']],
    [' "joe\\"b"@a.test', ['"joe\\"b"@a.test']],
    [" joe@[192.0.2.1]", ["joe@[192.0.2.1]"]],
    [" joe@[IPv6:2001:db8::1]", ["joe@[IPv6:2001:db8::1]"]],
    [" joe@a.test (a comment, with a comma)", ["joe@a.test"]],
    [" (nested (one) <x@y>) joe@a.test", ["joe@a.test"]],
    [" joe (in the (deep)) @ a.test", ["joe@a.test"]],
    [" <@a.test,@b.test:joe@c.test>", ["@a.test,@b.test:joe@c.test"]],
    [" friends: joe@a.test, Ann <ann@b.test>; , bob@c.test", ["joe@a.test", "ann@b.test", "bob@c.test"]],
    [" undisclosed-recipients:;", []],
    [' "my, friends" : joe@a.test;', ["joe@a.test"]],
    // Without a group a colon is part of what somebody took for an address.
    [" mailto:joe@a.test", ["mailto:joe@a.test"]],
    [" a!b, c%d", ["a!b", "c%d"]],
    // No addresses: phrases, what is not closed, what cannot be told.
    [" Joe Doe", []],
    [" Joe Doe <joe@a.test", []],
    [" <joe ann>", []],
    [" <<joe@a.test>>", []],
    [" <>", []],
    [", ,;", []],
    ["", []],
    [" (never closed joe@a.test", []],
    [' "never closed, joe@a.test', ['"never closed, joe@a.test']],
    [" <joe@a.test> and more words", ["joe@a.test"]],
    [" @[never closed:joe\r\n", ["@[never closed:joe"]],
    [' "never closed \r\n', ['"never closed']],
    [' "\r\n', ['"']],
    [' joe@a.test, "\\\r\n', ["joe@a.test", '"\\']],
    [" joe\\\r\n", ["joe\\"]],
  ])("%j", ([value, texts]) => {
    const found = findAddresses(value);
    expect(found.map(({ text }) => text)).toEqual(texts);
    let last = 0;
    for (const { start, end } of found) {
      expect(start).toBeGreaterThanOrEqual(last);
      expect(value.slice(start, end)).toMatch(/^\S(?:[^]*\S)?$/);
      last = end;
    }
  });

  test("comments within are kept apart", () => {
    expect(findAddresses(" joe (one) @ (two) a.test (three)")).toEqual([
      { start: 1, end: 25, text: "joe@a.test", comments: " (one) (two)" },
    ]);
  });

  test("what lies beyond the limit is not looked at, and no address is cut", () => {
    expect(findAddresses("joe@a.test, ann@b.test, bob@c.test", 24).map(({ text }) => text)).toEqual([
      "joe@a.test",
      "ann@b.test",
    ]);
    expect(findAddresses("joe@a.test, ann@b.test", 18).map(({ text }) => text)).toEqual(["joe@a.test"]);
  });

  const mega = 1024 * 1024;
  test.for([
    ["words", "a ".repeat(mega / 2)],
    ["open comments", "(".repeat(mega)],
    ["open brackets", "<".repeat(mega)],
    ["quotes", '"'.repeat(mega)],
    ["backslashes", "\\".repeat(mega)],
    ["colons and semicolons", ":;".repeat(mega / 2)],
    ["at signs", "@".repeat(mega)],
    ["addresses", "a@b,".repeat(mega / 4)],
  ] as const)("a megabyte of %s costs as much as its length", ([, value]) => {
    // The best of some: others work on the same machine. CPU time of this process alone.
    const time = (text: string): number =>
      Math.min(
        ...[1, 2, 3].map(() => {
          const start = process.cpuUsage();
          findAddresses(text);
          const { user, system } = process.cpuUsage(start);
          return user + system;
        }),
      );
    const part = Math.max(time(value.slice(0, mega / 16)), 2000);
    // 16 times as long; 256 times would be a square.
    expect(time(value)).toBeLessThan(part * 100);
  });
});
