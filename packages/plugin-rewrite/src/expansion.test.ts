import { TableUnavailable } from "@postern/core";
import { describe, expect, test } from "vitest";
import { formOf } from "./address-form.ts";
import { parseAliasValue } from "./alias-value.ts";
import { expandAddress, limits } from "./expansion.ts";

const numbered = (count: number, of: (index: number) => string): string[] =>
  Array.from({ length: count }, (_, at) => of(at));

describe("expansion", () => {
  const table: Readonly<Record<string, readonly string[]>> = {
    "one@a.test": ["two@a.test"],
    "two@a.test": ["three@b.test"],
    "many@a.test": ["x@b.test", "one@a.test", "y@b.test"],
    // Itself and a copy: the copy is expanded, itself is not again.
    "self@a.test": ["self@a.test", "one@a.test"],
    "Self2@a.test": ["self2@A.test"],
    "late-self@a.test": ["first@a.test", "late-self@a.test"],
    "first@a.test": ["z@b.test"],
    "thousand@a.test": numbered(1001, (at) => `u${at}@b.test`),
    "more@a.test": numbered(1002, (at) => `u${at}@b.test`),
    "long@a.test": ["x".repeat(1001)],
    "ping@a.test": ["pong@a.test"],
    "pong@a.test": ["ping@a.test"],
  };
  const chain = (address: string): readonly string[] | undefined => {
    const depth = Number(/^chain(\d+)@/.exec(address)?.[1] ?? Number.NaN);
    return depth > 0 ? [`chain${depth - 1}@a.test`] : table[address];
  };

  test.for<[address: string, expanded: readonly string[]]>([
    ["nobody@a.test", ["nobody@a.test"]],
    ["one@a.test", ["three@b.test"]],
    ["many@a.test", ["x@b.test", "three@b.test", "y@b.test"]],
    ["self@a.test", ["self@a.test", "three@b.test"]],
    ["Self2@a.test", ["self2@A.test"]],
    ["late-self@a.test", ["z@b.test", "late-self@a.test"]],
    [`chain${limits.recursion - 1}@a.test`, ["chain0@a.test"]],
    ["thousand@a.test", table["thousand@a.test"] ?? []],
  ])("%s", async ([address, expanded]) => {
    expect(expandAddress(address, chain)).toEqual(expanded);
    expect(await expandAddress(address, async (asked) => chain(asked))).toEqual(expanded);
  });

  test.for(["ping@a.test", `chain${limits.recursion}@a.test`, "more@a.test", "long@a.test"])(
    "%s is put off",
    async (address) => {
      expect(() => expandAddress(address, chain)).toThrow(TableUnavailable);
      await expect(expandAddress(address, async (asked) => chain(asked))).rejects.toThrow(TableUnavailable);
    },
  );
});

test.for<[value: string, addresses: readonly string[] | string]>([
  ["joe@A.test", ["joe@a.test"]],
  ["joe@a.test, ann@b.test ,", ["joe@a.test", "ann@b.test"]],
  ["joe", ["joe@origin.test"]],
  ['"joe b"@a.test, "x,y"@a.test', ['"joe b"@a.test', '"x,y"@a.test']],
  ["Joe B <joe@a.test>, <ann@a.test>", ["joe@a.test", "ann@a.test"]],
  ["joe@a.test (not ann, really), ann@a.test", ["joe@a.test", "ann@a.test"]],
  ["@other.test", ["user@other.test"]],
  ["@other.test, joe@a.test", ["user@other.test", "joe@a.test"]],
  ["joe@a.test, @other.test", '"@other.test" is no address'],
  ["ü@bücher.test", ["ü@bücher.test"]],
  ["joe@[192.0.2.1]", ["joe@[192.0.2.1]"]],
  ["joe ann", '"joe ann" is no address'],
  ["joe@a@b", '"joe@a@b" is no address'],
  [",", "it names no address"],
])("the value %s", ([value, addresses]) => {
  expect(parseAliasValue(value, "user", (written) => formOf(written, { origin: "origin.test" }))).toEqual(
    typeof addresses === "string" ? { wrong: addresses } : addresses,
  );
});
