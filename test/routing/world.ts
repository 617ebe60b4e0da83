// A random config of all that routing knows, in the words of both, and questions about it.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "@postern/core";

export const domainPool = [
  "local.test",
  "alias.test",
  "box.test",
  "relay.test",
  "sub.relay.test",
  "sub.box.test",
  "other.test",
  "a.other.test",
  "b.a.other.test",
  "host.local.test",
];
const users = ["joe", "ann", "root", "owner-joe"];
const extensions = ["", "", "", "+x", "+x+y", "+"];

type Table = readonly (readonly [key: string, value: string])[];

export interface World {
  readonly classes: Readonly<Record<"local" | "virtualAlias" | "virtualMailbox" | "relay", string[]>>;
  readonly routes: readonly Table[];
  readonly senderRelayhosts: readonly Table[];
  readonly senderTransports: readonly Table[];
  readonly transports: Readonly<Partial<Record<"local" | "virtualMailbox" | "relay" | "default", string>>>;
  readonly relayhost: string | undefined;
}

export interface Question {
  readonly sender: string;
  readonly address: string;
}

interface Chance {
  readonly pick: <T>(from: readonly T[]) => T;
  readonly some: <T>(most: number, make: () => T) => T[];
  readonly often: (probability: number) => boolean;
}

function chanceOf(random: () => number): Chance {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  return {
    pick,
    some: (most, make) => Array.from({ length: Math.floor(random() * (most + 1)) }, make),
    often: (probability) => random() < probability,
  };
}

const mixedCase = (text: string): string => text.replace(/[a-z]/, (letter) => letter.toUpperCase());

export function randomWorld(random: () => number): World {
  const chance = chanceOf(random);
  const { pick, some, often } = chance;
  const hop = (): string =>
    pick([
      "hop.test",
      "[host.test]",
      "[host.test]:26",
      "hop.test:smtp",
      "hop.test:2525",
      "[192.0.2.5]",
      "[2001:db8::5]:587",
    ]);
  const hops = (): string => (often(0.3) ? [hop(), ...some(2, hop), hop()].join(pick([", ", ",", " "])) : hop());
  const deliveryRoute = (): string =>
    pick([
      () => `smtp:${hops()}`,
      () => `relay:${hops()}`,
      () => "smtp",
      () => "smtp:",
      () => `one:${hop()}`,
      () => "two:",
      () => "two",
      () => `two:a:b ${hop()}`,
      () => "local:",
      () => "virtual",
    ])();
  const failure = (): string =>
    pick(["error:5.7.1 closed", "error:no mail", "error:4.2.1 odd", "retry:4.4.1 later", "discard:", "discard:gone"]);
  /** Without words for the sender: only where both have some of their own. */
  const silent = (): string => pick(["error:", "error", "retry:", "retry"]);
  const routeValue = (): string =>
    pick([deliveryRoute, deliveryRoute, deliveryRoute, () => ":", () => `:${hop()}`, failure, silent])();
  const address = (): string => `${pick(users)}${pick(extensions)}@${pick(domainPool)}`;
  const once = (table: (readonly [string, string])[]): Table => [
    ...new Map(table.map((entry) => [entry[0].toLowerCase(), entry])).values(),
  ];
  const written = (text: string): string => (often(0.1) ? mixedCase(text) : text);
  const routeTable = (): Table =>
    once([
      ...some(6, () => [written(address()), routeValue()] as const),
      ...some(6, () => [written(pick(domainPool)), routeValue()] as const),
      ...some(4, () => [`.${pick([...domainPool, "test"])}`, routeValue()] as const),
      ...(often(0.3) ? [["*", routeValue()] as const] : []),
    ]);
  const senderTable = (value: () => string): Table =>
    once([
      ...some(3, () => [address(), value()] as const),
      ...some(3, () => [`@${pick(domainPool)}`, value()] as const),
      ...some(2, () => [`${pick(users)}${pick(extensions)}`, value()] as const),
      ...(often(0.3) ? [["<>", value()] as const] : []),
    ]);
  const dunno = (value: () => string) => (): string => (often(0.25) ? pick(["DUNNO", "dunno"]) : value());
  const tables = (probability: number, make: () => Table): Table[] =>
    often(probability) ? [make(), ...(often(0.3) ? [make()] : [])] : [];
  const given = (probability: number, value: () => string): string | undefined =>
    often(probability) ? value() : undefined;
  const transports = Object.entries({
    local: given(0.2, deliveryRoute),
    virtualMailbox: given(0.2, deliveryRoute),
    relay: given(0.2, deliveryRoute),
    default: given(0.3, () => pick([deliveryRoute, failure])()),
  }).filter(([, value]) => value !== undefined);
  return {
    classes: {
      local: ["local.test", "host.local.test"].filter((domain) => domain === "local.test" || often(0.5)),
      virtualAlias: ["alias.test"],
      virtualMailbox: ["box.test"],
      relay: ["relay.test", ...(often(0.3) ? ["a.other.test"] : [])],
    },
    routes: tables(0.8, routeTable),
    senderRelayhosts: tables(0.5, () => senderTable(dunno(hops))),
    senderTransports: tables(0.5, () => senderTable(dunno(() => pick([deliveryRoute, deliveryRoute, failure])()))),
    transports: Object.fromEntries(transports),
    relayhost: given(0.4, hops),
  };
}

export function randomQuestion(random: () => number): Question {
  const { pick, often } = chanceOf(random);
  const domain = (): string =>
    pick([
      ...domainPool,
      ...domainPool,
      "[192.0.2.9]",
      "[IPv6:2001:db8::9]",
      "stranger.example",
      "x.y.stranger.example",
    ]);
  const user = (): string => `${pick(users)}${pick(extensions)}`;
  const routed = (): string => pick(["joe%relay.test", "other.test!ann", "joe%x%y"]);
  let at = domain();
  // Postfix turns these round in domains of its own; see docs/standards.md.
  const isOwn = at.endsWith("local.test");
  const local = often(0.05) && !isOwn ? routed() : user();
  if (!at.startsWith("[") && often(0.1)) at = mixedCase(at);
  if (!at.startsWith("[") && often(0.05)) at += ".";
  return {
    sender: pick([() => "", () => `${user()}@${pick(domainPool)}`, () => `${mixedCase(user())}@${pick(domainPool)}`])(),
    address: `${local}@${at}`,
  };
}

type RoutingKeys =
  | "domains"
  | "routes"
  | "senderRelayhosts"
  | "senderTransports"
  | "transports"
  | "relayhost"
  | "recipientDelimiter"
  | "origin";

/** The same files for both. */
export function writeWorld(world: World, folder: string, name: string) {
  const files = (kind: "routes" | "senderRelayhosts" | "senderTransports"): string[] =>
    world[kind].map((table, index) => {
      const path = join(folder, `${name}-${kind}-${index}`);
      writeFileSync(path, table.map(([key, value]) => `${key}  ${value}\n`).join(""), { mode: 0o644 });
      return `texthash:${path}`;
    });
  const { classes, transports, relayhost } = world;
  const [routes, senderRelayhosts, senderTransports] = [
    files("routes"),
    files("senderRelayhosts"),
    files("senderTransports"),
  ];
  const main: Readonly<Record<string, string | undefined>> = {
    myorigin: "origin.test",
    mydestination: classes.local.join(", "),
    virtual_alias_domains: classes.virtualAlias.join(", "),
    virtual_mailbox_domains: classes.virtualMailbox.join(", "),
    relay_domains: classes.relay.join(", "),
    transport_maps: routes.join(", "),
    sender_dependent_relayhost_maps: senderRelayhosts.join(", "),
    sender_dependent_default_transport_maps: senderTransports.join(", "),
    local_transport: transports.local,
    virtual_transport: transports.virtualMailbox,
    relay_transport: transports.relay,
    default_transport: transports.default,
    relayhost: relayhost ?? "",
    recipient_delimiter: "+",
    append_dot_mydomain: "no",
  };
  const config: Pick<Config, RoutingKeys> = {
    domains: classes,
    routes,
    senderRelayhosts,
    senderTransports,
    transports,
    ...(relayhost !== undefined && { relayhost }),
    recipientDelimiter: "+",
    origin: "origin.test",
  };
  return { main, config };
}
