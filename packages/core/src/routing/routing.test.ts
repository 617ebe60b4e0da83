import { describe, expect, test } from "vitest";
import { ConfigError, TableUnavailable } from "../errors.ts";
import type { LookupTable, TableSpec } from "../tables/table.ts";
import { foldKey } from "../tables/fold.ts";
import { createFakeClock } from "@postern/testkit";
import { createGuard } from "../guard/guard.ts";
import { systemClock } from "../model/clock.ts";
import { createTableRegistry } from "../tables/registry.ts";
import { openRouteTables } from "./route-tables.ts";
import { createAddressBook, type DomainsConfig } from "./address-book.ts";
import { createRouter } from "./router.ts";

const openTable = async (spec: TableSpec): Promise<LookupTable> => ({
  type: "t",
  name: "t",
  kind: "indexed",
  trusted: true,
  lookup: (key) => {
    if (typeof spec === "string") throw new TableUnavailable(spec, "down");
    return Object.entries(spec as Record<string, string>).find(([known]) => foldKey(known) === foldKey(key))?.[1];
  },
  close: async () => {},
});

const registry = createTableRegistry({
  directory: "/",
  clock: systemClock,
  guard: createGuard(systemClock, () => {}),
  warn: () => {},
});

const domains: DomainsConfig = {
  local: { domains: ["local.example", "[192.0.2.25]"], recipients: ["root", "user@local.example"] },
  relay: {
    domains: ["Relay.example", "münchen.example"],
    recipients: { "known@relay.example": "x", "@münchen.example": "x" },
  },
  virtualAlias: { domains: ["alias.example"] },
  virtualMailbox: { domains: ["box.example", "xn--bcher-kva.example"] },
};
const book = (recipientDelimiter = "") => createAddressBook(domains, { recipientDelimiter, openTable });

describe("address classes", () => {
  test.for([
    ["local.example", "local"],
    ["[192.0.2.25]", "local"],
    ["relay.example", "relay"],
    ["RELAY.EXAMPLE", "relay"],
    ["sub.relay.example", "relay"],
    ["sub.xn--mnchen-3ya.example", "relay"],
    ["notrelay.example", "default"],
    ["sub.local.example", "default"],
    ["sub.box.example", "default"],
    ["sub.alias.example", "default"],
    ["relay.example.evil", "default"],
    ["münchen.example", "relay"],
    ["MÜNCHEN.example", "relay"],
    ["xn--mnchen-3ya.example", "relay"],
    ["bücher.example", "virtualMailbox"],
    ["alias.example", "virtualAlias"],
    ["example", "default"],
    ["", "default"],
  ] as const)("%s is %s", async ([domain, name]) => {
    expect((await book()).classOf(domain)).toBe(name);
  });

  test.for<[address: string, listed: boolean, delimiter?: string]>([
    ["root@local.example", true],
    ["user@local.example", true],
    ["USER@local.example", true],
    ["who@local.example", false],
    ["user+x@local.example", false],
    ["user+x@local.example", true, "+"],
    ["root+x@local.example", true, "+"],
    ["known@relay.example", true],
    ["who@relay.example", false],
    ["anybody@münchen.example", true],
    ["anybody@xn--mnchen-3ya.example", true],
    ["anybody@box.example", true],
    ["anybody@alias.example", false],
    ["anybody@other.example", true],
    ["postmaster", true],
  ])("%s listed: %s", async ([address, listed, delimiter]) => {
    expect(await (await book(delimiter)).isListed(address)).toBe(listed);
  });

  const late =
    (answers: Readonly<Record<string, string | Error>>) =>
    async (spec: TableSpec): Promise<LookupTable> => ({
      type: "late",
      name: spec as string,
      kind: "indexed",
      trusted: true,
      lookup: async (key) => {
        const answer = answers[`${spec as string} ${key}`];
        if (answer instanceof Error) throw answer;
        return answer;
      },
      close: async () => {},
    });
  const down = new TableUnavailable("late", "down");

  test.for<[domain: string, answers: Readonly<Record<string, string | Error>>, expected: string]>([
    ["a.test", { "t:relay a.test": "x" }, "relay"],
    ["sub.a.test", { "t:relay a.test": "x" }, "relay"],
    ["sub.a.test", { "t:boxes a.test": "x" }, "default"],
    ["a.test", { "t:relay a.test": "x", "t:boxes a.test": "x" }, "virtualMailbox"],
    ["a.test", { "t:relay a.test": "x", "t:aliases a.test": "x", "t:boxes a.test": "x" }, "virtualAlias"],
    ["a.test", { "t:relay a.test": "x", "t:boxes a.test": down }, "down"],
    ["b.test", { "t:relay test": down }, "down"],
    // What is known before the table that is down stands.
    ["a.test", { "t:relay a.test": down, "t:boxes a.test": "x" }, "virtualMailbox"],
    ["own.test", { "t:relay own.test": down }, "local"],
  ])("tables elsewhere: %s, %o is %s", async ([domain, answers, expected]) => {
    const addresses = await createAddressBook(
      {
        local: { domains: ["own.test"] },
        virtualAlias: { domains: "t:aliases" },
        virtualMailbox: { domains: ["t:boxes"] },
        relay: { domains: ["static.test", "t:relay"] },
      },
      { recipientDelimiter: "", openTable: late(answers) },
    );
    const asked = (async () => addresses.classOf(domain))().catch((error: unknown) =>
      error === down ? "down" : error,
    );
    expect(await asked).toBe(expected);
  });

  test.for<[address: string, aliases: readonly string[], listed: boolean]>([
    ["joe@alias.example", ["joe@alias.example"], true],
    ["who@alias.example", ["joe@alias.example"], false],
    ["info@relay.example", ["info@relay.example"], true],
    ["who@relay.example", ["info@relay.example"], false],
  ])("%s with aliases %j is listed: %s", async ([address, aliases, listed]) => {
    const isAlias = async (asked: string) => aliases.includes(asked);
    const addresses = await createAddressBook(domains, { recipientDelimiter: "", openTable, isAlias });
    expect(await addresses.isListed(address)).toBe(listed);
  });

  test("a domain in two classes is told of when tables in memory show it", async () => {
    const warnings: string[] = [];
    await createAddressBook(
      {
        local: { domains: ["a.test"] },
        virtualMailbox: { domains: { "a.test": "x", "b.test": "x" } },
        relay: { domains: ["b.test", "test.test"] },
      },
      { recipientDelimiter: "", openTable: (spec) => registry.open(spec), warn: (text) => warnings.push(text) },
    );
    expect(warnings).toEqual([
      'domains.virtualMailbox: "a.test" is in domains.local too; it is local',
      'domains.relay: "b.test" is in domains.virtualMailbox too; it is virtualMailbox',
    ]);
  });

  test("a table that cannot be asked is not an answer", async () => {
    const addresses = await createAddressBook(
      { relay: { domains: ["a.example"], recipients: "t:down" } },
      { recipientDelimiter: "", openTable },
    );
    expect(() => addresses.isListed("x@a.example")).toThrow(TableUnavailable);
  });

  test.for<[config: DomainsConfig, message: RegExp]>([
    [
      { local: { domains: ["a.example"] }, relay: { domains: ["A.example"] } },
      /^domains\.relay: "A\.example" is in domains\.local already/,
    ],
    [
      { local: { domains: ["bücher.example"] }, relay: { domains: ["xn--bcher-kva.example"] } },
      /^domains\.relay: "xn--bcher-kva\.example" is in domains\.local already/,
    ],
    [{ relay: { domains: ["a b"] } }, /"a b" is no domain/],
    [{ relay: { domains: ["a.example"], recipients: ["x"] } }, /^domains\.relay\.recipients\[0\]: "x" is no address/],
    [
      { relay: { domains: ["a.example"], recipients: ["x@a.exampel"] } },
      /^domains\.relay\.recipients\[0\]: "a\.exampel" is not in domains\.relay; did you mean "a\.example"\?/,
    ],
    [
      { virtualAlias: { domains: ["a.example"], recipients: ["x@a.example"] } },
      /^domains\.virtualAlias\.recipients: who exists there is said by the aliases/,
    ],
  ])("%j is a mistake", async ([config, message]) => {
    const created = createAddressBook(config, { recipientDelimiter: "", openTable });
    await expect(created).rejects.toThrow(ConfigError);
    await expect(created).rejects.toThrow(message);
  });
});

describe("routes", () => {
  test.for<[address: string, relayhost: string | undefined, route: string]>([
    ["user@local.example", "[10.0.0.1]", "local maildir "],
    ["user@box.example", "[10.0.0.1]", "virtualMailbox maildir "],
    ["user@relay.example", undefined, "relay smtp relay.example"],
    ["user@relay.example", "[127.0.0.1]:2526", "relay smtp [127.0.0.1]:2526"],
    ["user@other.example", undefined, "default smtp other.example"],
    ["user@other.example", "[smart.example]:25", "default smtp [smart.example]:25"],
    ["user@[192.0.2.9]", undefined, "default smtp [192.0.2.9]"],
    ["user@alias.example", undefined, "virtualAlias error 5.1.1 User unknown in virtual alias table"],
    ["postmaster", "[10.0.0.1]", "local maildir "],
  ])("%s with relayhost %s", async ([address, relayhost, route]) => {
    const resolveRoute = createRouter({ addresses: await book(), relayhost });
    const found = await resolveRoute({ address, sender: "" });
    expect(`${found.class} ${found.transport} ${found.nextHop}`).toBe(route);
  });
});

describe("transport tables", () => {
  const transports = {
    has: (name: string) => ["smtp", "maildir", "error", "filter"].includes(name),
    names: () => ["smtp", "filter"],
  };
  const options = { recipientDelimiter: "+", transports, openTable: (spec: TableSpec) => registry.open(spec) };

  test.for<[value: string, address: string, route: string]>([
    ["smtp:[10.0.0.1]:2525", "user@relay.example", "relay smtp [10.0.0.1]:2525"],
    ["relay:mx.example", "user@relay.example", "relay smtp mx.example"],
    [
      "smtp:[10.0.0.1]:2525, [10.0.0.2] mx.example",
      "user@relay.example",
      "relay smtp [10.0.0.1]:2525, [10.0.0.2], mx.example",
    ],
    // Both empty: as without the table. Empty next-hop: the domain, not the relayhost. Empty transport: kept.
    [":", "user@relay.example", "relay smtp [192.0.2.1]"],
    ["smtp:", "user@relay.example", "relay smtp relay.example"],
    ["smtp", "user@relay.example", "relay smtp relay.example"],
    [":[10.0.0.1]", "user@relay.example", "relay smtp [10.0.0.1]"],
    ["local:", "user@relay.example", "relay maildir relay.example"],
    ["virtual", "user@relay.example", "relay maildir relay.example"],
    ["filter:a:b", "user@relay.example", "relay filter a:b"],
    ["smtp:[10.0.0.1]", "user@box.example", "virtualMailbox smtp [10.0.0.1]"],
    ["error:5.7.1 No mail for %s", "user@box.example", "virtualMailbox error 5.7.1 No mail for %s"],
    ["error:no mail", "user@other.example", "default error 5.0.0 no mail"],
    ["error:4.2.1 later", "user@other.example", "default error 5.2.1 later"],
    ["error:", "user@other.example", "default error 5.0.0 Address is undeliverable"],
    ["retry:5.2.1 later", "user@other.example", "default error 4.2.1 later"],
    ["smtp:[10.0.0.1]", "user@alias.example", "virtualAlias error 5.1.1 User unknown in virtual alias table"],
    ["retry:", "user@other.example", "default error 4.0.0 Address is undeliverable"],
  ])("%s for %s", async ([value, address, route]) => {
    const tables = await openRouteTables([{ "*": value }], { ...options, clock: systemClock });
    const found = await createRouter({ addresses: await book(), relayhost: "[192.0.2.1]", tables })({
      address,
      sender: "",
    });
    expect(`${found.class} ${found.transport} ${found.nextHop}`).toBe(route);
  });

  test.for<[address: string, nextHop: string | undefined]>([
    ["user+x@a.test", "[plus]"],
    ["user@a.test", "[user]"],
    ["user+y@a.test", "[user]"],
    ["who@a.test", "[domain]"],
    ["who@sub.a.test", "[below]"],
    ["who@sub.sub.a.test", "[below]"],
    ["who@b.test", undefined],
    ["who@sub.b.test", "[below-b]"],
    ["who@bücher.test", "[books]"],
  ])("%s goes to %s", async ([address, nextHop]) => {
    const table = {
      "user+x@a.test": "smtp:[plus]",
      "user@a.test": "smtp:[user]",
      "a.test": "smtp:[domain]",
      ".a.test": "smtp:[below]",
      ".b.test": "smtp:[below-b]",
      "xn--bcher-kva.test": "smtp:[books]",
    };
    const tables = await openRouteTables([table], { ...options, clock: systemClock });
    expect((await tables.find(address))?.nextHop).toBe(nextHop);
  });

  test.for<[value: string, message: string]>([
    ["smpt:[10.0.0.1]", 'no plugin brings the transport "smpt"; did you mean "smtp"?'],
    ["lmtp:unix:/run/lmtp", 'no plugin brings the transport "lmtp"'],
    ["smtp:[10.0.0.1", '"[10.0.0.1" is no next-hop'],
  ])("%s is a mistake of a table in memory and a deferral of another", async ([value, message]) => {
    const opened = openRouteTables([{ "a.test": "smtp:" }, { "b.test": value }], { ...options, clock: systemClock });
    await expect(opened).rejects.toThrow(ConfigError);
    await expect(opened).rejects.toThrow(`routes[1]: table inline:{b.test}, key "b.test": ${message}`);
    const elsewhere = async (): Promise<LookupTable> => ({
      type: "db",
      name: "x",
      kind: "indexed",
      trusted: true,
      lookup: async () => value,
      close: async () => {},
    });
    const tables = await openRouteTables(["db:x"], { ...options, clock: systemClock, openTable: elsewhere });
    await expect(tables.find("x@b.test")).rejects.toThrow(TableUnavailable);
  });

  test("the wildcard is asked once in 30 seconds, by pattern tables too; tables are opened as Postfix opens them", async () => {
    const clock = createFakeClock();
    const asked: string[] = [];
    const purposes: unknown[] = [];
    const tables = await openRouteTables(["pattern:x"], {
      ...options,
      clock,
      openTable: async (_, purpose) => {
        purposes.push(purpose);
        return {
          type: "pattern",
          name: "x",
          kind: "pattern",
          trusted: true,
          lookup: (key) => {
            asked.push(key);
            return key === "*" ? "smtp:[10.0.0.1]" : undefined;
          },
          close: async () => {},
        };
      },
    });
    expect(await tables.find("u@a.test")).toEqual({ transport: "smtp", nextHop: "[10.0.0.1]" });
    await tables.find("u@b.test");
    clock.advance(30_000);
    await tables.find("u@c.test");
    expect(asked).toEqual(["u@a.test", "*", "u@b.test", "u@c.test", "*"]);
    expect(purposes).toEqual([{ trustedOnly: true, withoutSubstitution: true }]);
  });
});
