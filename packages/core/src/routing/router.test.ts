import { describe, expect, test } from "vitest";
import { ConfigError, TableUnavailable } from "../errors.ts";
import { createGuard } from "../guard/index.ts";
import { systemClock, type AddressClass } from "../model/index.ts";
import { createTableRegistry, type LookupTable, type TableSpec } from "../tables/index.ts";
import { openRouting, withBounces, type RoutingConfig } from "./open-routing.ts";
import type { AddressBook } from "./address-book.ts";

const classes: Readonly<Record<string, AddressClass>> = {
  "local.test": "local",
  "box.test": "virtualMailbox",
  "alias.test": "virtualAlias",
  "relay.test": "relay",
};
const addresses = { classOf: (domain: string) => classes[domain] ?? ("default" as const) };
const brought = ["smtp", "maildir", "filter"];
const transports = { has: (name: string) => brought.includes(name), names: () => brought };
const guard = createGuard(systemClock, () => undefined);
const registry = createTableRegistry({ directory: ".", clock: systemClock, guard, warn: () => undefined });
const own = {
  isOwnAddress: (address: string) => ["127.0.0.1", "::1", "192.0.2.99"].includes(address),
  isOwnEndpoint: () => false,
};

type Given = Partial<RoutingConfig>;

async function open(given: Given = {}, openTable = (spec: TableSpec) => registry.open(spec)) {
  const config: RoutingConfig = {
    recipientDelimiter: "+",
    relayhost: undefined,
    routes: [],
    senderRelayhosts: [],
    senderTransports: [],
    transports: {},
    ...given,
  };
  return openRouting(config, { addresses, transports, own, origin: "origin.test", clock: systemClock, openTable });
}

async function routeText(given: Given, address: string, sender = ""): Promise<string> {
  const { route } = await open(given);
  const found = route({ address, sender });
  // Tables in memory are asked without a promise.
  if (found instanceof Promise) throw new Error("the route is late");
  return `${found.class} ${found.transport}:${found.nextHop}`;
}

describe("what depends on the sender", () => {
  const relayhosts: Given = {
    relayhost: "[192.0.2.1]",
    senderRelayhosts: [
      { "ann@a.test": "[192.0.2.2]:587", "@a.test": "b.test, [192.0.2.3]", "<>": "[192.0.2.4]", "dun@a.test": "dunno" },
    ],
  };
  const bare: Given = { senderRelayhosts: [{ joe: "[192.0.2.5]" }] };
  const transportOf: Given = {
    senderTransports: [{ "ann@a.test": "filter:x", "@a.test": "smtp:", "@off.test": "error:5.7.1 closed" }],
  };
  test.each([
    [relayhosts, "ann@a.test", "u@other.test", "default smtp:[192.0.2.2]:587"],
    [relayhosts, "ann+x@a.test", "u@relay.test", "relay smtp:[192.0.2.2]:587"],
    [relayhosts, "Bob@A.test", "u@other.test", "default smtp:b.test, [192.0.2.3]"],
    [relayhosts, "", "u@other.test", "default smtp:[192.0.2.4]"],
    // As if no table knew the sender: the relayhost stands.
    [relayhosts, "dun@a.test", "u@other.test", "default smtp:[192.0.2.1]"],
    // Bare local parts are keys for local senders alone.
    [bare, "joe+x@local.test", "u@other.test", "default smtp:[192.0.2.5]"],
    [bare, "joe@origin.test", "u@other.test", "default smtp:[192.0.2.5]"],
    [bare, "joe@a.test", "u@other.test", "default smtp:other.test"],
    [relayhosts, "x@b.test", "u@other.test", "default smtp:[192.0.2.1]"],
    [relayhosts, "ann@a.test", "u@local.test", "local maildir:"],
    [transportOf, "ann@a.test", "u@other.test", "default filter:x"],
    [transportOf, "bob@a.test", "u@other.test", "default smtp:other.test"],
    // Only for domains that are not ours.
    [transportOf, "ann@a.test", "u@relay.test", "relay smtp:relay.test"],
    [{ ...relayhosts, ...transportOf }, "ann@a.test", "u@other.test", "default filter:x"],
    [{ ...relayhosts, ...transportOf }, "bob@a.test", "u@other.test", "default smtp:b.test, [192.0.2.3]"],
    [{ ...relayhosts, routes: [{ "other.test": "smtp:" }] }, "ann@a.test", "u@other.test", "default smtp:other.test"],
    [{ ...relayhosts, routes: [{ "other.test": ":" }] }, "ann@a.test", "u@other.test", "default smtp:[192.0.2.2]:587"],
  ])("%j: <%s> to <%s> goes to %s", async (given, sender, address, expected) => {
    expect(await routeText(given, address, sender)).toBe(expected);
  });

  test.each([
    [{ senderRelayhosts: [{ "@a.test": "[b" }] }, /^senderRelayhosts: .*key "@a.test": "\[b" is no next-hop/],
    [{ senderTransports: [{ "@a.test": "smpt:" }] }, /^senderTransports: .*did you mean "smtp"/],
    [{ senderTransports: [{ "@a.test": ":[b]" }] }, /":\[b\]" names no transport/],
    [{ transports: { relay: "smpt:[x.test]" } }, /^transports\.relay: no plugin brings .*did you mean "smtp"/],
    [{ transports: { default: "smtp:[x" } }, /^transports\.default: "\[x" is no next-hop/],
  ] satisfies [Given, RegExp][])("%j is a mistake", async (given, message) => {
    const opened = open(given);
    await expect(opened).rejects.toThrow(ConfigError);
    await expect(opened).rejects.toThrow(message);
  });

  test("a table that cannot be asked, and a value elsewhere that cannot be used, defer", async () => {
    const table = (answer: () => string): LookupTable => ({
      type: "db",
      name: "x",
      kind: "indexed",
      trusted: true,
      lookup: async () => answer(),
      close: async () => {},
    });
    for (const answer of [
      () => "[b",
      () => {
        throw new TableUnavailable("db:x", "down");
      },
    ]) {
      const { route } = await open({ senderRelayhosts: ["db:x"] }, async () => table(answer));
      await expect(route({ address: "u@other.test", sender: "a@b.test" })).rejects.toThrow(TableUnavailable);
      expect(await route({ address: "u@local.test", sender: "a@b.test" })).toMatchObject({ transport: "maildir" });
    }
  });
});

describe("transports by class", () => {
  const given: Given = {
    relayhost: "[192.0.2.1]",
    transports: {
      local: "smtp:[192.0.2.5]",
      virtualMailbox: "filter",
      relay: "relay:[192.0.2.6], [192.0.2.7]",
      default: "smtp",
    },
  };
  test.each([
    ["u@local.test", "local smtp:[192.0.2.5]"],
    ["u@box.test", "virtualMailbox filter:box.test"],
    // Goes before the relayhost.
    ["u@relay.test", "relay smtp:[192.0.2.6], [192.0.2.7]"],
    ["u@other.test", "default smtp:[192.0.2.1]"],
    ["u@alias.test", "virtualAlias error:5.1.1 User unknown in virtual alias table"],
    ["postmaster", "local smtp:[192.0.2.5]"],
  ])("%s: %s", async (address, expected) => {
    expect(await routeText(given, address)).toBe(expected);
  });
});

// The transport stays, and with it whether it is for good.
test.each([
  ["error:5.7.1 closed", "default error:5.0.0 [192.0.2.9]"],
  ["retry:4.7.1 closed", "default error:4.0.0 [192.0.2.9]"],
])("%s with other words", async (transport, expected) => {
  const given: Given = { transports: { default: transport }, routes: [{ "*": ":[192.0.2.9]" }] };
  expect(await routeText(given, "u@other.test")).toBe(expected);
});

describe("domains of a kind of their own", () => {
  test.each([
    ["u@Other.Test", {}, "default smtp:other.test"],
    ["u@other.test.", {}, "default smtp:other.test"],
    ["u@local.test.", {}, "local maildir:"],
    ["u@x.test.", { routes: [{ "u@x.test": "filter:y" }] }, "default filter:y"],
    ["u@[192.0.2.1]", {}, "default smtp:[192.0.2.1]"],
    ["u@[IPv6:2001:db8::1]", {}, "default smtp:[ipv6:2001:db8::1]"],
    ["u@[127.0.0.1]", {}, "default error:5.4.6 mail for [127.0.0.1] loops back to myself"],
    ["u@[192.0.2.99]", {}, "default error:5.4.6 mail for [192.0.2.99] loops back to myself"],
    ["u@[IPv6:::1]", {}, "default error:5.4.6 mail for [ipv6:::1] loops back to myself"],
    // The operator says where it goes; that is no loop.
    ["u@[127.0.0.1]", { relayhost: "[192.0.2.1]" }, "default smtp:[192.0.2.1]"],
    ["u@[127.0.0.1]", { routes: [{ "*": ":[192.0.2.3]" }] }, "default smtp:[192.0.2.3]"],
    ["u@[127.0.0.1]", { routes: [{ "*": "smtp:" }] }, "default error:5.4.6 mail for [127.0.0.1] loops back to myself"],
    ["a%b@relay.test", {}, "relay smtp:relay.test"],
    ["a!b@local.test", {}, "local maildir:"],
    ["u@x.test", { routes: [{ "x.test": "discard:2.1.5 not wanted" }] }, "default discard:2.1.5 not wanted"],
    ["u@x.test", { routes: [{ "x.test": "discard" }] }, "default discard:x.test"],
  ] satisfies [string, Given, string][])("%s with %j: %s", async (address, given, expected) => {
    expect(await routeText(given, address)).toBe(expected);
  });
});

describe("what would bounce is known at RCPT", () => {
  const book: AddressBook = { ...addresses, isListed: () => true, recipientDelimiter: "+" };
  const given: Given = { senderTransports: [{ "@off.test": "error:5.7.1 closed", "@busy.test": "retry:4.2.1 later" }] };
  test.each([
    [given, "x@off.test", "u@other.test", "5.7.1 closed"],
    [given, "x@busy.test", "u@other.test", undefined],
    [given, "x@on.test", "u@other.test", undefined],
    [given, "x@off.test", "joe@other.test", undefined],
    [{}, "x@on.test", "u@[127.0.0.1]", "5.4.6 mail for [127.0.0.1] loops back to myself"],
    [{}, "x@on.test", "u@[192.0.2.1]", undefined],
  ] satisfies [Given, string, string, string | undefined][])("%j: <%s> to <%s>", async (config, sender, to, text) => {
    const known = withBounces(book, await open(config), (address) => address.startsWith("joe@"));
    expect(known.bounceText?.(to, sender)).toBe(text);
  });
});

describe("a content filter", () => {
  test.each([
    ["smtp:[192.0.2.8]:10025", { transport: "smtp", nextHop: "[192.0.2.8]:10025" }],
    ["filter:", { transport: "filter", nextHop: "x.test" }],
    ["filter", { transport: "filter", nextHop: "x.test" }],
    ["relay:[192.0.2.8]", { transport: "smtp", nextHop: "[192.0.2.8]" }],
  ])("%s", async (filter, expected) => {
    const { routeFor } = await open({ relayhost: "[192.0.2.1]" });
    expect(routeFor(filter, "u@X.test")).toEqual(expected);
  });

  test.each(["scan:[192.0.2.8]", ":[192.0.2.8]", "smtp:[x", ""])("%s cannot be used", async (filter) => {
    const { routeFor } = await open();
    expect(() => routeFor(filter, "u@x.test")).toThrow(ConfigError);
  });
});
