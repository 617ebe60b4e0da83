import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ConfigError, TableUnavailable } from "../errors.ts";
import { createGuard } from "../guard/guard.ts";
import { systemClock } from "../model/clock.ts";
import { addressFlavour, domainFlavour, hostFlavour, networkFlavour, type Host } from "./match-flavours.ts";
import { openMatchList, type MatchFlavour, type MatchItems } from "./match-list.ts";
import { createTableRegistry } from "./registry.ts";

const directory = mkdtempSync(join(tmpdir(), "postern-match-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
writeFileSync(join(directory, "domains"), "# ours\nfile.test, more.test\n  !not.test # a comment is a word\n");
writeFileSync(join(directory, "sound"), " first.test\n# ours\nfile.test, more.test\n  !not.test\ntexthash:./table\n");
writeFileSync(join(directory, "table"), "table.test x\n.dotted.test x\n192.0.2.7 x\nuser@a.test x\n@b.test x\n");
writeFileSync(join(directory, "round"), "a.test\n./round\n");

const asked: string[] = [];
const registry = createTableRegistry({
  directory,
  clock: systemClock,
  guard: createGuard(systemClock, () => {}),
  warn: () => {},
});
const owner = { name: "test", onError: "defer", deadlineMs: 1000 } as const;
for (const type of ["later", "down", "late-down", "pattern"]) {
  const lookup = (key: string) => {
    asked.push(key);
    if (type === "down") throw new TableUnavailable("down:", "down");
    if (type === "late-down") return Promise.reject(new TableUnavailable("down:", "down"));
    const value = key === "late.test" ? "x" : undefined;
    return type === "later" ? Promise.resolve(value) : value;
  };
  const kind = type === "pattern" ? "pattern" : "indexed";
  registry.register(
    { type, description: "", open: (name) => ({ type, name, kind, trusted: true, lookup, close: async () => {} }) },
    owner,
  );
}

const open = <Q>(items: MatchItems, flavour: MatchFlavour<Q>) =>
  openMatchList(items, flavour, { path: "list", directory, openTable: (spec) => registry.open(spec) });

describe("domains", () => {
  test.for<[items: MatchItems, style: "parent" | "dotted" | undefined, domain: string, matches: boolean]>([
    [["a.test"], undefined, "a.test", true],
    ["a.test", undefined, "a.test", true],
    [["A.Test"], undefined, "a.test", true],
    [["a.test"], undefined, "sub.a.test", false],
    [["a.test"], "parent", "sub.sub.a.test", true],
    [["a.test"], "parent", "nota.test", false],
    [["a.test"], "dotted", "sub.a.test", false],
    [[".a.test"], "dotted", "sub.a.test", true],
    [[".a.test"], "dotted", "a.test", false],
    [["bücher.test"], undefined, "xn--bcher-kva.test", true],
    [["xn--bcher-kva.test"], "parent", "sub.bücher.test", true],
    [["[192.0.2.1]"], undefined, "[192.0.2.1]", true],
    [["!sub.a.test", "a.test"], "parent", "sub.a.test", false],
    [["!sub.a.test", "a.test"], "parent", "other.a.test", true],
    // The first that matches decides, not the nearest.
    [["a.test", "!sub.a.test"], "parent", "sub.a.test", true],
    [["!!a.test"], undefined, "a.test", true],
    [["./sound"], undefined, "first.test", true],
    [["./sound"], undefined, "more.test", true],
    [["./sound"], undefined, "not.test", false],
    [["!./sound", "file.test", "not.test"], undefined, "file.test", false],
    [["!./sound", "file.test"], undefined, "not.test", true],
    [["./sound"], undefined, "table.test", true],
    [["!table.test", "./sound"], undefined, "table.test", false],
    ["texthash:./table", undefined, "TABLE.test", true],
    ["texthash:./table", undefined, "sub.table.test", false],
    ["texthash:./table", "parent", "sub.table.test", true],
    ["texthash:./table", "dotted", "sub.dotted.test", true],
    ["texthash:./table", "dotted", "dotted.test", false],
    [{ "object.test": "x" }, undefined, "object.test", true],
    [["!texthash:./table", "table.test"], undefined, "table.test", false],
    ["static:x", undefined, "any.test", true],
    [["later:x", "a.test"], undefined, "late.test", true],
    [["!later:x", "late.test"], undefined, "late.test", false],
    [["later:x", "a.test"], undefined, "a.test", true],
    [["later:x", "a.test"], undefined, "b.test", false],
    ["pattern:x", "parent", "sub.late.test", false],
    [[], undefined, "a.test", false],
  ])("%j, %s: %s is %s", async ([items, style, domain, matches]) => {
    expect(await (await open(items, domainFlavour(style))).matches(domain)).toBe(matches);
  });

  test("plain literals answer without a promise and ask no table behind them", async () => {
    const list = await open(["a.test", "down:x"], domainFlavour());
    expect(list.matches("a.test")).toBe(true);
    expect(() => list.matches("b.test")).toThrow(TableUnavailable);
    await expect((await open(["late-down:x", "b.test"], domainFlavour())).matches("b.test")).rejects.toThrow(
      TableUnavailable,
    );
  });

  test("a table in A-labels knows a domain that comes in U-labels", async () => {
    asked.length = 0;
    await (await open("later:x", domainFlavour("parent"))).matches("bücher.test");
    expect(asked).toEqual(["bücher.test", "test", "xn--bcher-kva.test", "test"]);
  });
});

describe("networks and hosts", () => {
  test.for<[items: MatchItems, address: string, matches: boolean]>([
    [["192.0.2.0/24"], "192.0.2.9", true],
    [["!192.0.2.1", "192.0.2.0/24"], "192.0.2.1", false],
    [["!192.0.2.1", "192.0.2.0/24"], "192.0.2.2", true],
    [["192.0.2.0/24", "!192.0.2.1"], "192.0.2.1", true],
    [["[::1]/128", "2001:db8::/32"], "::1", true],
    [["fe80::1"], "fe80::1", true],
    [["texthash:./table"], "192.0.2.7", true],
    [["!192.0.2.7", "texthash:./table"], "192.0.2.7", false],
    [["texthash:./table"], "192.0.2.8", false],
  ])("%j: %s is %s", async ([items, address, matches]) => {
    expect(await (await open(items, networkFlavour)).matches(address)).toBe(matches);
  });

  test.for<[items: MatchItems, host: Host, matches: boolean]>([
    [["a.test"], { address: "192.0.2.1", name: "mx.a.test" }, true],
    [["a.test"], { address: "192.0.2.1" }, false],
    [["!mx.a.test", "192.0.2.0/24"], { address: "192.0.2.1", name: "mx.a.test" }, false],
    [["texthash:./table"], { address: "192.0.2.1", name: "mx.table.test" }, true],
    [["texthash:./table"], { address: "192.0.2.7", name: "unknown" }, true],
  ])("%j: %j is %s", async ([items, host, matches]) => {
    expect(await (await open(items, hostFlavour("parent"))).matches(host)).toBe(matches);
  });
});

test.for<[items: MatchItems, address: string, isLocal: boolean, matches: boolean]>([
  [["User@A.test"], "uSER@a.test", false, true],
  [["user@a.test"], "user+x@a.test", false, true],
  [["!user+x@a.test", "user@a.test"], "user+x@a.test", false, false],
  [["!spam@a.test", "@a.test"], "spam@a.test", false, false],
  [["!spam@a.test", "@a.test"], "ham@a.test", false, true],
  [["root"], "root@a.test", true, true],
  [["@bücher.test"], "x@xn--bcher-kva.test", false, true],
  ["texthash:./table", "user+x@a.test", false, true],
  ["texthash:./table", "any@b.test", false, true],
  ["texthash:./table", "who@a.test", false, false],
])("addresses %j: %s, local %s, is %s", async ([items, address, isLocal, matches]) => {
  const flavour = addressFlavour({ recipientDelimiter: "+", isLocal });
  expect(await (await open(items, flavour)).matches(address)).toBe(matches);
});

test.for<[items: MatchItems, flavour: MatchFlavour<string>, message: string]>([
  [["a.test", "a b"], domainFlavour(), 'list[1]: "a b" is no domain'],
  ["a_b:", domainFlavour(), 'list: unknown table type "a_b" in "a_b:"'],
  [["!"], domainFlavour(), 'list[0]: "!" names nothing'],
  [["./none"], domainFlavour(), `list[0]: ${directory}/none: there is no such file`],
  ["./domains", domainFlavour(), `list: ${directory}/domains, line 3: "#" is no domain`],
  [["./round"], domainFlavour(), "files name each other"],
  [["10.0.0.1/8"], networkFlavour, 'list[0]: "10.0.0.1/8" has bits set beyond its prefix'],
  [["fe80::1/64"], networkFlavour, 'list[0]: "fe80::1/64" has bits set beyond its prefix'],
  [["a.test"], networkFlavour, 'list[0]: "a.test" is no address and no network'],
  [["root"], addressFlavour({ recipientDelimiter: "", isLocal: false }), 'list[0]: "root" is no address'],
])("%j is a mistake", async ([items, flavour, message]) => {
  const opened = open(items, flavour);
  await expect(opened).rejects.toThrow(ConfigError);
  await expect(opened).rejects.toThrow(message);
});
