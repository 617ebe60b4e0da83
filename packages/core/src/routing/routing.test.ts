import { describe, expect, test } from "vitest";
import { ConfigError, TableUnavailable } from "../errors.ts";
import type { LookupTable, TableSpec } from "../tables/table.ts";
import { foldKey } from "../tables/fold.ts";
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
    ["sub.relay.example", "default"],
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
      /^domains\.virtualAlias\.recipients has no use yet/,
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
    const found = await resolveRoute({ address });
    expect(`${found.class} ${found.transport} ${found.nextHop}`).toBe(route);
  });
});
