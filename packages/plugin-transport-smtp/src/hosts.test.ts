import { createOwnEndpoints, createStaticResolver, systemClock, type StaticRecords } from "@postern/core";
import { expect, test } from "vitest";
import { findHosts, splitNextHops, type HostOptions } from "./hosts.ts";

function optionsFor(dns: Record<string, StaticRecords>, more: Partial<HostOptions> = {}): HostOptions {
  return {
    dns: createStaticResolver(dns),
    random: () => 0.999,
    port: 25,
    hostname: "gateway.test",
    isOwnAddress: (address) => address === "192.0.2.99",
    isOwnEndpoint: (address, port) => address === "192.0.2.98" && port === 2525,
    ...more,
  };
}

const orders: readonly [
  what: string,
  nextHop: string,
  dns: Record<string, StaticRecords>,
  addresses: readonly string[],
][] = [
  [
    "MX by preference, IPv6 and IPv4 of each",
    "x.test",
    {
      "x.test": {
        mx: [
          [20, "b.test"],
          [10, "a.test"],
        ],
        a: ["192.0.2.50"],
      },
      "a.test": { a: ["192.0.2.1"], aaaa: ["2001:db8::1"] },
      "b.test": { a: ["192.0.2.2"] },
    },
    ["2001:db8::1", "192.0.2.1", "192.0.2.2"],
  ],
  ["no MX: the name itself", "x.test", { "x.test": { a: ["192.0.2.1"] } }, ["192.0.2.1"]],
  [
    "brackets: no MX",
    "[x.test]",
    { "x.test": { mx: [[1, "a.test"]], a: ["192.0.2.1"] }, "a.test": { a: ["192.0.2.2"] } },
    ["192.0.2.1"],
  ],
  [
    "a host without addresses and one that cannot be looked up are left out",
    "x.test",
    {
      "x.test": {
        mx: [
          [1, "none.test"],
          [2, "down.test"],
          [3, "c.test"],
        ],
      },
      "down.test": { a: "unavailable" },
      "c.test": { a: ["192.0.2.3"] },
    },
    ["192.0.2.3"],
  ],
  [
    "AAAA that fails does not spoil A",
    "[x.test]",
    { "x.test": { a: ["192.0.2.1"], aaaa: "unavailable" } },
    ["192.0.2.1"],
  ],
  [
    "only hosts better than ourselves, by address",
    "x.test",
    {
      "x.test": {
        mx: [
          [10, "a.test"],
          [20, "b.test"],
          [20, "c.test"],
          [30, "d.test"],
        ],
      },
      "a.test": { a: ["192.0.2.1"] },
      "b.test": { a: ["192.0.2.2"] },
      "c.test": { a: ["192.0.2.99"] },
      "d.test": { a: ["192.0.2.4"] },
    },
    ["192.0.2.1"],
  ],
  [
    "only hosts better than our name, which the DNS does not know",
    "x.test",
    {
      "x.test": {
        mx: [
          [10, "a.test"],
          [20, "gateway.test"],
          [20, "b.test"],
          [30, "d.test"],
        ],
      },
      "a.test": { a: ["192.0.2.1"] },
      "b.test": { a: ["192.0.2.2"] },
      "d.test": { a: ["192.0.2.4"] },
    },
    ["192.0.2.1"],
  ],
  [
    "only hosts better than a listener of ours at another port",
    "x.test:2525",
    {
      "x.test": {
        mx: [
          [10, "a.test"],
          [20, "b.test"],
        ],
      },
      "a.test": { a: ["192.0.2.1"] },
      "b.test": { a: ["192.0.2.98"] },
    },
    ["192.0.2.1"],
  ],
];
test.each(orders)("%s", async (_what, nextHop, dns, addresses) => {
  const found = await findHosts(nextHop, optionsFor(dns));
  expect(found.kind === "endpoints" ? found.endpoints.map(({ address }) => address) : found).toEqual(addresses);
});

test("equal preferences are shuffled", async () => {
  const dns = {
    "x.test": {
      mx: [
        [10, "a.test"],
        [10, "b.test"],
        [5, "c.test"],
      ],
    },
    "a.test": { a: ["192.0.2.1"] },
    "b.test": { a: ["192.0.2.2"] },
    "c.test": { a: ["192.0.2.3"] },
  } satisfies Record<string, StaticRecords>;
  const seen = new Set<string>();
  for (const value of [0.4, 0.999]) {
    const found = await findHosts("x.test", optionsFor(dns, { random: () => value }));
    if (found.kind === "endpoints") seen.add(found.endpoints.map(({ name }) => name).join());
  }
  expect(seen).toEqual(new Set(["c.test,a.test,b.test", "c.test,b.test,a.test"]));
});

const dead: readonly [
  what: string,
  nextHop: string,
  dns: Record<string, StaticRecords>,
  status: string,
  text: RegExp,
][] = [
  ["null MX", "x.test", { "x.test": { mx: [[0, ""]], a: ["192.0.2.1"] } }, "bounced 5.1.10", /nullMX/],
  ["no such name", "x.test", {}, "bounced 5.1.2", /Host not found/],
  [
    "MX not answered",
    "x.test",
    { "x.test": { mx: "unavailable", a: ["192.0.2.1"] } },
    "deferred 4.4.3",
    /Name service error/,
  ],
  ["no MX and no answer for A", "x.test", { "x.test": { a: "unavailable" } }, "deferred 4.4.3", /Name service error/],
  ["MX hosts without addresses", "x.test", { "x.test": { mx: [[1, "a.test"]] } }, "bounced 5.4.4", /Host not found/],
  [
    "MX hosts, some without answer",
    "x.test",
    {
      "x.test": {
        mx: [
          [1, "a.test"],
          [2, "b.test"],
        ],
      },
      "b.test": { aaaa: "unavailable" },
    },
    "deferred 4.4.3",
    /Name service error/,
  ],
  [
    "we are the best MX by name",
    "x.test",
    {
      "x.test": {
        mx: [
          [1, "gateway.test"],
          [2, "b.test"],
        ],
      },
      "gateway.test": { a: ["192.0.2.1"] },
      "b.test": { a: ["192.0.2.2"] },
    },
    "bounced 5.4.6",
    /loops back to myself/,
  ],
  [
    "better hosts than we are, and none has an address",
    "x.test",
    {
      "x.test": {
        mx: [
          [10, "a.test"],
          [20, "b.test"],
        ],
      },
      "b.test": { a: ["192.0.2.99"] },
    },
    "deferred 4.4.4",
    /unable to find primary relay/,
  ],
  ["a host in brackets is a listener of ours", "[192.0.2.98]:2525", {}, "bounced 5.4.6", /loops back to myself/],
  [
    "one of a host's addresses is a listener of ours",
    "[b.test]:2525",
    { "b.test": { a: ["192.0.2.2", "192.0.2.98"] } },
    "bounced 5.4.6",
    /loops back to myself/,
  ],
  ["the name itself is us", "x.test", { "x.test": { a: ["192.0.2.99"] } }, "bounced 5.4.6", /loops back to myself/],
];
test.each(dead)("%s", async (_what, nextHop, dns, status, text) => {
  const found = await findHosts(nextHop, optionsFor(dns));
  if (found.kind !== "failed") throw new Error("hosts were found");
  expect(`${found.outcome.status} ${found.outcome.enhanced}`).toBe(status);
  expect(found.outcome.text).toMatch(text);
});

test("another port of this machine is somebody else", async () => {
  const found = await findHosts("x.test:2525", optionsFor({ "x.test": { a: ["192.0.2.99"] } }));
  expect(found.kind).toBe("endpoints");
});

test.each([
  ["x.test", ["x.test"]],
  ["[192.0.2.1]:25, x.test  y.test,", ["[192.0.2.1]:25", "x.test", "y.test"]],
])("next-hops of %s", (text, hops) => {
  expect(splitNextHops(text)).toEqual(hops);
});

// Whoever listens there takes us for one of its own: a stranger's DNS must not make us a trusted client.
test.each(["127.0.0.1", "127.8.9.10", "0.0.0.0", "::1", "::"])("a stranger's MX may not be %s", async (address) => {
  const record = address.includes(":") ? { aaaa: [address] } : { a: [address] };
  const own = createOwnEndpoints({ clock: systemClock, proxyInterfaces: [], listening: () => [] });
  const dns = { "x.test": { mx: [[1, "a.test"]] }, "a.test": record } satisfies Record<string, StaticRecords>;
  const found = await findHosts("x.test", optionsFor(dns, own));
  expect(found).toMatchObject({ kind: "failed", outcome: { status: "bounced", enhanced: "5.4.6" } });
  const named = await findHosts(`[${address}]:25`, optionsFor({}, own));
  expect(named).toMatchObject({ kind: "endpoints", endpoints: [{ address }] });
});
