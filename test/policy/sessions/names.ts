// Who and what sessions, tables and zones are about. Few, so that they meet often.

/** A client as XCLIENT says it. */
export interface ClientFacts {
  /** `[UNAVAILABLE]`: none, or not confirmed; `[TEMPUNAVAIL]`: DNS did not answer. */
  readonly name: string;
  readonly reverseName: string;
  /** Without `IPV6:`. */
  readonly address: string;
}

const none = "[UNAVAILABLE]";
const later = "[TEMPUNAVAIL]";

/** The third and its network are ours. */
export const clients: readonly ClientFacts[] = [
  { name: "mail.good.test", reverseName: "mail.good.test", address: "192.0.2.10" },
  { name: "out.spam.test", reverseName: "out.spam.test", address: "198.51.100.7" },
  { name: "desk.inside.test", reverseName: "desk.inside.test", address: "10.1.2.3" },
  { name: none, reverseName: none, address: "198.51.100.20" },
  { name: later, reverseName: later, address: "198.51.100.30" },
  { name: none, reverseName: "liar.good.test", address: "203.0.113.40" },
  { name: later, reverseName: "slow.good.test", address: "203.0.113.41" },
  { name: "six.good.test", reverseName: "six.good.test", address: "2001:db8::25" },
  { name: none, reverseName: none, address: "2001:db8:bad::1" },
];
export const networks = ["10.1.0.0/16"] as const;
export const addresses: readonly string[] = clients.map(({ address }) => address);
export const networkKeys = ["192.0.2", "198.51.100", "198", "10.1", "203.0.113", "2001:db8", "2001:db8:0:0:0:0:0:25"];

/** Whose mail we take, by class. */
export const ownDomains = { local: "local.test", relay: "relay.test", box: "box.test", alias: "alias.test" } as const;
const ownNames = Object.values(ownDomains);

/** Zones of strangers, each with records of its own; those in `deadZones` get SERVFAIL. */
export const zones = ["good.test", "spam.test", "other.test", "nomx.test", "nullmx.test", "empty.test"] as const;
export const deadZones = ["dead.test", "dead2.test"] as const;
/** Names below the zones that the hosts of records have. */
export const hosts = [
  "mail.good.test",
  "mx.good.test",
  "mx.spam.test",
  "ns.spam.test",
  "ns.other.test",
  "six.good.test",
];
export const missing = ["nobody.good.test", "nowhere.invalid"] as const;
export const strangers: readonly string[] = [
  ...zones,
  "sub.good.test",
  "deep.sub.spam.test",
  "alias.good.test",
  "x.dead.test",
  "dead2.test",
  ...missing,
];

export const heloNames: readonly string[] = [
  "mail.good.test",
  "out.spam.test",
  "six.good.test",
  "sub.good.test",
  "bare",
  "local.test",
  "x.dead.test",
  "nobody.good.test",
  "[192.0.2.10]",
  "[198.51.100.7]",
  "[IPv6:2001:db8::25]",
  "[192.0.2.300]",
  "192.0.2.10",
  "under_score.good.test",
  "-dash.good.test",
  "double..dot.test",
  "GOOD.test",
  "good.test.",
];

export const users: readonly string[] = ["joe", "ann", "spam", "joe+x", "Joe", "postmaster"];
export const listedUsers = ["joe", "ann"] as const;

export const senders: readonly string[] = [
  "",
  ...[...strangers, ...ownNames].flatMap((domain) => [`joe@${domain}`, `spam@${domain}`]),
  "joe@bare",
  "joe@[192.0.2.10]",
  "joe@sub.local.test",
  "JOE@Good.Test",
  "Joe+x@LOCAL.test",
  '"spam spam"@good.test',
];
/** Ours, three times as often. What is no address (`joe`, `joe@local.test.`) is refused here before any list is asked. */
export const recipients: readonly string[] = [
  ...[...ownNames, ...ownNames, ...ownNames].flatMap((domain) => users.map((user) => `${user}@${domain}`)),
  ...ownNames.map((domain) => `joe@sub.${domain}`),
  ...strangers.map((domain) => `ann@${domain}`),
  "ann@bare",
  "ann@[192.0.2.10]",
  "ann%good.test@local.test",
  '"ann@good.test"@relay.test',
  '"joe"@local.test',
  "JOE@Local.Test",
  "ann+x+y@RELAY.test",
  "joe+@box.test",
  "+x@local.test",

  "postmaster",
];

export const ipLists = ["bl.test", "wl.test"] as const;
export const nameLists = ["rhsbl.test"] as const;
