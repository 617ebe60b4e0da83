// What becomes of mail with several next-hops, dead, unwilling, rude and unknown ones among them, and with every kind of MX: the same
// as with the real Postfix. Both are given the same transport table, the same name server and the same peers.
import { randomInt } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hand } from "../e2e/dialogue.ts";
import { startGateway, type GatewayProcess } from "../e2e/gateway.ts";
import { until } from "../e2e/until.ts";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { startKnot, type Knot } from "../services/knot.ts";
import { freePort } from "../services/ports.ts";
import { startPostfix, type PostfixPeer } from "../services/postfix.ts";
import { startSmtpSink, type SmtpSink } from "../services/smtp-sink.ts";

/** smtp-sink's arguments: how each peer behaves. */
const manners = {
  good: [],
  fine: [],
  "soft-connect": ["-r", "connect"],
  "hard-connect": ["-f", "connect"],
  "soft-mail": ["-r", "mail"],
  "hard-mail": ["-f", "mail"],
  "soft-rcpt": ["-r", "rcpt"],
  "hard-rcpt": ["-f", "rcpt"],
  "soft-data": ["-r", "data"],
  "soft-end": ["-r", "."],
  "hard-end": ["-f", "."],
  "cut-rcpt": ["-q", "rcpt"],
} satisfies Record<string, readonly string[]>;

/** Hosts of the zone's MX records, at one port for all. */
const exchanges = {
  "127.0.0.111": [],
  "127.0.0.112": ["-r", "rcpt"],
} satisfies Record<string, readonly string[]>;

const zone = `
up A 127.0.0.111
soft A 127.0.0.112
down A 127.0.0.113
self A 127.0.0.1
both A 127.0.0.111
one MX 10 up
best MX 20 soft
best MX 10 up
backup MX 10 down
backup MX 20 up
softly MX 10 soft
softly MX 20 up
nameless MX 10 nowhere
nameless MX 20 up
nowhere TXT "no address"
broken MX 10 nowhere
loop MX 10 self
loop MX 20 up
lost MX 10 nowhere
lost MX 20 self
null MX 0 .
`;

/** MX lists at the common port, and at the port of SMTP those of which no host is asked. */
const mxHops = ["one", "best", "backup", "softly", "nameless", "broken", "up", "both"];
const standardHops = ["loop", "lost", "null", "gone"];

interface Fate {
  readonly status: string;
  readonly dsn: string;
  /** `address:port`; "none" when nobody was reached. */
  readonly relay: string;
}

/** The first word on each recipient. */
function readFates(log: string): Map<string, Fate> {
  const fates = new Map<string, Fate>();
  for (const line of log.split("\n")) {
    const [, to, relay, dsn, status] = /: to=<(\S+?)>,.* relay=(\S+?),.* dsn=(\S+?), status=(\w+)/.exec(line) ?? [];
    if (to === undefined || relay === undefined || dsn === undefined || status === undefined || fates.has(to)) continue;
    fates.set(to, {
      status,
      dsn,
      relay: /\[(.+)\]:\d+$/.exec(relay) === null ? "none" : relay.replace(/^.*\[(.+)\]:/, "$1:"),
    });
  }
  return fates;
}

type Entry = readonly [key: string, value: string];

const inlineTable = (entries: readonly Entry[]): string =>
  `inline:{ ${entries.map(([key, value]) => `{ ${key} = ${value} }`).join(" ")} }`;

interface Case {
  readonly address: string;
  readonly from: string;
  readonly hops: readonly string[];
}

/** Differences that are meant; docs/standards.md has them under "Routing". */
const known: Readonly<Record<string, (hops: readonly string[], theirs: Fate, ours: Fate) => boolean>> = {
  "what is not found, or is ourselves, bounces nothing that a host may take later": (hops, theirs, ours) =>
    hops.length > 1 &&
    hops.some((hop) => /none|gone|null|broken|loop/.test(hop)) &&
    theirs.status === "bounced" &&
    ours.status === "deferred",
  "null MX by RFC 7505": (hops, theirs, ours) =>
    theirs.dsn === "5.1.0" && ours.dsn === "5.1.10" && /null/.test(hops.at(-1) ?? ""),
  "a domain that does not exist by RFC 3463": (_, theirs, ours) => theirs.dsn === "5.4.4" && ours.dsn === "5.1.2",
};

/** What was put off was put off by each of several: Postfix names the last, we who spoke of the recipient. */
function tell({ status, dsn, relay }: Fate, hops: readonly string[]): string {
  if (status !== "deferred") return `${status} ${dsn} by ${relay}`;
  return hops.length > 1 ? status : `${status} ${dsn}`;
}

describeWith(["postfix", "smtp-sink", "knotd", "kdig", "unshare", "root"], `deliveries (seed ${seed})`, () => {
  const folder = temporaryFolder();
  const services: { stop(): Promise<void> }[] = [];
  const cases: Case[] = [];
  let postfix: PostfixPeer;
  let gateway: GatewayProcess;

  async function startSink(name: string, args: readonly string[], more: { address?: string; port?: number } = {}) {
    const home = join(folder.path, name);
    mkdirSync(home);
    const sink = await startSmtpSink({ folder: home, args, ...more });
    services.push(sink);
    return [name, sink] as const;
  }

  async function startPeers(): Promise<{ knot: Knot; mxPort: number; sinks: ReadonlyMap<string, SmtpSink> }> {
    // Postfix asks on port 53 alone, so the address is what nobody else may have.
    const address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
    const mxPort = await freePort();
    const [knot, ...sinks] = await Promise.all([
      startKnot({ folder: folder.path, address, port: 53, zones: { "route.test": zone } }),
      ...Object.entries(manners).map(([name, args]) => startSink(name, args)),
      ...Object.entries(exchanges).map(([host, args]) => startSink(host, args, { address: host, port: mxPort })),
    ]);
    services.push(knot);
    return { knot, mxPort, sinks: new Map(sinks) };
  }

  beforeAll(async () => {
    const { knot, mxPort, sinks } = await startPeers();
    const nobody = await freePort();
    const hops = new Map<string, string>([
      ...Object.keys(manners).map((name) => [name, `[127.0.0.1]:${sinks.get(name)?.port}`] as const),
      ["dead", `[127.0.0.1]:${nobody}`],
      ["none", "[none.route.test]:2525"],
      ...mxHops.map((name) => [`mx ${name}`, `${name}.route.test:${mxPort}`] as const),
      ...standardHops.map((name) => [`mx ${name}`, `${name}.route.test`] as const),
    ]);
    const random = randomFrom(seed);
    const names = [...hops.keys()];
    const pick = (): string => names[Math.floor(random() * names.length)] as string;
    const lists = new Map<string, readonly string[]>(names.map((name) => [name, [name]]));
    while (lists.size < sample(90, 400)) {
      const list = [pick(), ...Array.from({ length: 1 + Math.floor(random() * 2) }, pick)];
      lists.set(list.join(), list);
    }
    const routes: Entry[] = [["sender.test", "discard:"]];
    const relayhosts: Entry[] = [];
    for (const [index, list] of [...lists.values()].entries()) {
      const written = list.map((name) => hops.get(name) ?? "").join(", ");
      const [address, from] = [`joe@case-${index}.test`, `ann-${index}@sender.test`];
      cases.push({ address, from, hops: list });
      // Each third by its sender.
      if (index % 3 === 0) relayhosts.push([from, written]);
      else routes.push([`case-${index}.test`, `smtp:${written}`]);
    }
    for (const [index, route] of ["discard:nobody reads it", "retry:4.2.1 later", "retry:"].entries()) {
      const domain = `plain-${index}.test`;
      cases.push({ address: `joe@${domain}`, from: "ann@sender.test", hops: [route] });
      routes.push([domain, route]);
    }
    [postfix, gateway] = await Promise.all([
      startPostfix({
        folder: folder.path,
        nameServer: knot.address,
        main: {
          smtp_dns_support_level: "enabled",
          transport_maps: inlineTable(routes),
          sender_dependent_relayhost_maps: inlineTable(relayhosts),
          // What goes to `retry` is taken here, and refused there.
          smtpd_reject_unlisted_recipient: "no",
          smtp_tls_security_level: "none",
          // Each message is tried once.
          minimal_backoff_time: "1h",
          maximal_backoff_time: "1h",
        },
      }),
      startGateway({
        config: {
          dns: { servers: [knot.server] },
          domains: { relay: cases.map(({ address }) => address.slice(address.indexOf("@") + 1)) },
          policy: { relay: [] },
          plugins: [["@postern/plugin-transport-smtp", { tls: "none" }]],
          routes: Object.fromEntries(routes),
          senderRelayhosts: Object.fromEntries(relayhosts),
        },
      }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([
      postfix?.stop(),
      gateway?.[Symbol.asyncDispose](),
      ...services.map((service) => service.stop()),
    ]);
    folder[Symbol.dispose]();
  });

  test("each message has the same fate by the same peer", async () => {
    for (const { address: to, from } of cases) {
      const replies = await Promise.all([postfix, gateway].map(({ port }) => hand(port, { from, to })));
      expect(replies.map((reply) => reply.slice(0, 3))).toEqual(["250", "250"]);
    }
    const read = () => ({ theirs: readFates(postfix.mailLog()), ours: readFates(gateway.log()) });
    await until(() => {
      const { theirs, ours } = read();
      return cases.every(({ address }) => theirs.has(address) && ours.has(address));
    });
    const fates = read();
    const seen = new Set<string>();
    const failures = cases.flatMap(({ address, hops }) => {
      const [theirs, ours] = [fates.theirs.get(address) as Fate, fates.ours.get(address) as Fate];
      seen.add(theirs.status);
      const [one, other] = [tell(theirs, hops), tell(ours, hops)];
      if (one === other || Object.values(known).some((is) => is(hops, theirs, ours))) return [];
      return [`${hops.join(", ")}: Postfix ${one}, here ${other}`];
    });
    expect(failures).toEqual([]);
    expect(seen).toEqual(new Set(["sent", "deferred", "bounced"]));
  });
});
