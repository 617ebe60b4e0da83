// What a stranger, or a client that is none, may try: entries of lists, recipients by every spelling, and ways to connect.
import type { Asked, Entry, Recipient, Said, Stage } from "./open-relay-oracle.ts";

const all: readonly Stage[] = ["connect", "helo", "mail", "relay", "rcpt", "data", "message"];
const fromHelo = all.slice(1);
const fromMail = all.slice(2);
const atRecipient: readonly Stage[] = ["relay", "rcpt"];

const always = (said: Said) => (): Said => said;
const ifOurClient =
  (said: Said) =>
  ({ inNetworks }: Asked): Said =>
    inNetworks ? said : "nothing";
const ifAddress =
  (start: string, said: (stage: Stage) => Said) =>
  ({ address }: Asked, stage: Stage): Said =>
    address?.startsWith(start) === true ? said(stage) : "nothing";
/** A table of clients knows the client; in `relay`, and only there, its OK lets the client relay. */
const knownClient = (stage: Stage): Said => (stage === "relay" ? "permit and authorize" : "permit");
const unauthDestination = ({ recipient: { kind } }: Asked): Said =>
  kind === "foreign" || kind === "routing" ? "refuse" : "nothing";

/** Every session says `EHLO client.test` and `MAIL FROM:<…@source.test>`. */
export const entries: readonly Entry[] = [
  { entry: "permit", stages: all, says: always("permit") },
  { entry: "permit_mynetworks", stages: all, says: ifOurClient("permit and authorize") },
  {
    entry: "permit_sasl_authenticated",
    stages: all,
    says: ({ login }) => (login === true ? "permit and authorize" : "nothing"),
  },
  { entry: "reject_unauth_destination", stages: atRecipient, says: unauthDestination },
  { entry: ["check_client_access", { "192.0.2.1": "OK" }], stages: all, says: ifAddress("192.0.2.1", knownClient) },
  { entry: ["check_client_access", { "127.0.0": "OK" }], stages: all, says: ifAddress("127.0.0.", knownClient) },
  {
    entry: ["check_client_access", { "192.0.2": "permit" }],
    stages: all,
    says: ifAddress("192.0.2.", always("permit")),
  },
  {
    entry: ["check_client_access", { "192.0.2": "permit_mynetworks" }],
    stages: all,
    says: (asked, stage) => (asked.inNetworks ? ifAddress("192.0.2.", knownClient)(asked, stage) : "nothing"),
  },
  {
    entry: ["check_client_access", { "127.0.0": "REJECT" }],
    stages: all,
    says: ifAddress("127.0.0.", always("refuse")),
  },
  { entry: ["check_helo_access", { "client.test": "OK" }], stages: fromHelo, says: always("permit") },
  { entry: ["check_helo_access", { test: "permit_mynetworks" }], stages: fromHelo, says: ifOurClient("permit") },
  { entry: ["check_sender_access", { "source.test": "OK" }], stages: fromMail, says: always("permit") },
  { entry: ["check_sender_access", { test: "friends" }], stages: fromMail, says: always("permit") },
  { entry: "check_recipient_access static:OK", stages: atRecipient, says: always("permit") },
  { entry: "check_recipient_access static:permit_mynetworks", stages: atRecipient, says: ifOurClient("permit") },
  { entry: "check_recipient_access static:RELAY", stages: atRecipient, says: always("permit") },
  { entry: "check_client_access static:RELAY", stages: all, says: (_, stage) => knownClient(stage) },
  { entry: "check_client_access down:x", stages: all, says: always("refuse") },
  { entry: "warn_if_reject reject", stages: all, says: always("nothing") },
  { entry: "warn_if_reject reject_unauth_destination", stages: atRecipient, says: always("nothing") },
  { entry: "warn_if_reject permit", stages: all, says: always("permit") },
  { entry: "warn_if_reject permit_mynetworks", stages: all, says: ifOurClient("permit and authorize") },
  { entry: "warn_if_reject defer_if_permit", stages: all, says: always("nothing") },
  { entry: "defer_if_permit", stages: all, says: always("refuse") },
  { entry: "defer_if_reject", stages: all, says: always("nothing") },
  { entry: "reject", stages: all, says: always("refuse") },
  { entry: "friends", stages: all, says: always("permit") },
  { entry: "mine", stages: all, says: ifOurClient("permit and authorize") },
  {
    entry: "{ permit_mynetworks, permit }",
    stages: all,
    says: (asked) => (asked.inNetworks ? "permit and authorize" : "permit"),
  },
  { entry: "forges", stages: all, says: always("permit") },
  { entry: "forges_late", stages: all, says: always("permit") },
  { entry: "says_true", stages: all, says: always("nothing") },
  { entry: "throws", stages: all, says: always("nothing") },
];

/** Own words of the configs above. */
export const classes = { friends: ["permit"], mine: ["permit_mynetworks"] } as const;

const ours = (path: string): Recipient => ({ path, kind: "ours" });
const foreign = (path: string, odd = false): Recipient => ({ path, kind: "foreign", odd });
const below = (path: string): Recipient => ({ path, kind: "below" });
const routing = (path: string, odd = false): Recipient => ({ path, kind: "routing", odd });
const never = (path: string): Recipient => ({ path, kind: "never" });

/** `ours.test` and `bücher.test` are ours, what is below them perhaps; `victim.test` and whatever else is not. */
export const recipients: readonly Recipient[] = [
  ours("<user@ours.test>"),
  ours("<user@OURS.Test>"),
  ours("<user@xn--bcher-kva.test>"),
  ours('<"user"@ours.test>'),
  ours("  <user@ours.test>"),
  { path: "<postmaster>", kind: "postmaster" },
  foreign("<victim@victim.test>"),
  foreign("<victim@VICTIM.TEST>"),
  foreign("  <victim@victim.test>"),
  foreign("<victim@victim.test> NOTIFY=NEVER"),
  foreign("<victim@victim.test> ORCPT=rfc822;user@ours.test"),
  foreign("<postmaster@victim.test>"),
  below("<user@sub.ours.test>"),
  below("<user@SUB.sub.Ours.test>"),
  below("<user@sub.xn--bcher-kva.test>"),
  routing("<victim%victim.test@sub.ours.test>"),
  foreign("<user@ours.test.victim.test>"),
  foreign("<user@notours.test>"),
  foreign("<user@test>", true),
  foreign("<user@ours>", true),
  foreign("<victim@[127.0.0.1]>", true),
  foreign("<victim@[192.0.2.25]>", true),
  foreign("<victim@[IPv6:::1]>", true),
  foreign("<victim@localhost>", true),
  foreign("<victim@mx.example.test>"),
  foreign("<victim@xn--mnchen-3ya.test>"),
  foreign('<"user@ours.test>"@victim.test>', true),
  foreign("<user=ours.test@victim.test>"),
  foreign("<user+ours.test@victim.test>"),
  foreign("<@ours.test:victim@victim.test>", true),
  foreign("<@ours.test,@ours.test:victim@victim.test>", true),
  routing("<victim%victim.test@ours.test>"),
  routing("<victim.test!victim@ours.test>"),
  routing('<"victim@victim.test"@ours.test>'),
  routing('<"victim%victim.test"@ours.test>'),
  routing('<"victim\\@victim.test"@ours.test>', true),
  routing('<"victim.test!victim"@ours.test>'),
  routing("<@victim.test:user@ours.test>", true),
  routing("<@ours.test:victim%victim.test@ours.test>", true),
  never("<victim@victim.test.>"),
  never("<victim@victim.test@ours.test>"),
  never("<user@ours.test@victim.test>"),
  never("<victim@victim.test>,<user@ours.test>"),
  never("<user@ours.test>,victim@victim.test"),
  never("<user@ours.test>victim@victim.test"),
  never("<user@ours.test >"),
  never("<user@ours.test victim@victim.test>"),
  never("<victim@m\u00c3\u00bcnchen.test>"),
  never("<victim@\u00ef\u00bd\u008fur\u00ef\u00bd\u0093.test>"),
  // The origin is one of our domains only where one is plainly written.
  { path: "<victim>", kind: "bare", odd: true },
  never("<user@>"),
  never("<@ours.test>"),
  never("<>"),
  never("<[127.0.0.1]>"),
  never("<victim@[ours.test]>"),
  never("<user@ours.test\0@victim.test>"),
  never("<user@ours.test\tvictim@victim.test>"),
];

export interface Connecting {
  readonly name: string;
  readonly from: string;
  /** Sent before anything is read. */
  readonly preface?: string | Buffer;
  /** Said after the greeting. */
  readonly said?: readonly string[];
  /** Who it then is; the address of the connection unless given. "nobody": dropped before the greeting. */
  readonly is?: string | undefined;
  /** Who it is on the way there; refused at once as such, it comes no further. */
  readonly was?: string;
  /** It is logged in then. */
  readonly login?: boolean;
}

const auth = (identity: string, password: string, authzid = ""): string =>
  `AUTH PLAIN ${Buffer.from(`${authzid}\0${identity}\0${password}`).toString("base64")}`;

/** 203.0.113.5 may say XCLIENT and 203.0.113.7 must say PROXY. */
export const trusted = { xclient: ["203.0.113.5"], proxy: ["203.0.113.7"] } as const;
const xclientPeer = "203.0.113.5";
const proxyPeer = "203.0.113.7";

const proxyV2 = (address: readonly number[], command = 0x21): Buffer =>
  Buffer.concat([
    Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"),
    Buffer.from([command, 0x11, 0, 12, ...address, 127, 0, 0, 1, 0x0f, 0xa0, 0, 25]),
  ]);

export const connectings: readonly Connecting[] = [
  { name: "a stranger", from: "192.0.2.1" },
  { name: "another stranger", from: "198.51.100.1" },
  { name: "IPv4 in IPv6", from: "::ffff:192.0.2.1", is: "192.0.2.1" },
  { name: "an IPv6 stranger that looks like loopback", from: "2001:db8::1" },
  { name: "loopback", from: "127.0.0.1" },
  { name: "loopback as IPv4 in IPv6", from: "::ffff:127.0.0.1", is: "127.0.0.1" },
  { name: "a peer that may say XCLIENT and does not", from: xclientPeer },
  { name: "XCLIENT, listed, a loopback client", from: xclientPeer, said: ["XCLIENT ADDR=127.0.0.1"], is: "127.0.0.1" },
  {
    name: "XCLIENT, listed, a stranger",
    from: xclientPeer,
    said: ["XCLIENT NAME=localhost ADDR=192.0.2.1"],
    is: "192.0.2.1",
  },
  { name: "XCLIENT, listed, nobody knows", from: xclientPeer, said: ["XCLIENT ADDR=[UNAVAILABLE]"], is: undefined },
  { name: "XCLIENT, listed, a name alone", from: xclientPeer, said: ["XCLIENT NAME=localhost"] },
  {
    name: "XCLIENT, listed, loopback and then a stranger",
    from: xclientPeer,
    said: ["XCLIENT ADDR=127.0.0.1", "XCLIENT ADDR=192.0.2.1"],
    was: "127.0.0.1",
    is: "192.0.2.1",
  },
  {
    name: "XCLIENT, listed, a stranger with a login",
    from: xclientPeer,
    said: ["XCLIENT ADDR=192.0.2.1 LOGIN=admin"],
    is: "192.0.2.1",
    login: true,
  },
  {
    name: "XCLIENT, listed, a login and then a stranger",
    from: xclientPeer,
    said: ["XCLIENT LOGIN=admin", "XCLIENT ADDR=192.0.2.1"],
    is: "192.0.2.1",
  },
  { name: "XCLIENT, not listed, with a login", from: "192.0.2.1", said: ["XCLIENT LOGIN=admin"] },
  { name: "a stranger who logs in", from: "192.0.2.1", said: ["EHLO a.test", auth("user", "right")], login: true },
  {
    name: "a stranger whose logins fail in every way",
    from: "192.0.2.1",
    said: [
      auth("user", "right"),
      "EHLO a.test",
      auth("user", "wrong"),
      auth("user", "right", "root"),
      auth("broken", "right"),
      auth("", ""),
      "AUTH PLAIN =",
      "AUTH LOGIN",
      "dXNlcg==",
      "*",
      "MAIL FROM:<a@b.test> AUTH=user",
      "RSET",
    ],
  },
  { name: "XCLIENT, listed, a malformed address", from: xclientPeer, said: ["XCLIENT ADDR=127.1"] },
  { name: "XCLIENT, not listed", from: "192.0.2.1", said: ["XCLIENT ADDR=127.0.0.1"] },
  {
    name: "XCLIENT, not listed, by the name of one that is",
    from: "192.0.2.1",
    said: ["XCLIENT ADDR=203.0.113.5", "XCLIENT ADDR=127.0.0.1"],
  },
  {
    name: "PROXY 1, listed, a loopback client",
    from: proxyPeer,
    preface: "PROXY TCP4 127.0.0.1 127.0.0.1 4000 25\r\n",
    is: "127.0.0.1",
  },
  {
    name: "PROXY 1, listed, a stranger",
    from: proxyPeer,
    preface: "PROXY TCP4 192.0.2.1 127.0.0.1 4000 25\r\n",
    is: "192.0.2.1",
  },
  { name: "PROXY 1, listed, unknown", from: proxyPeer, preface: "PROXY UNKNOWN\r\n" },
  { name: "PROXY 2, listed, a loopback client", from: proxyPeer, preface: proxyV2([127, 0, 0, 1]), is: "127.0.0.1" },
  { name: "PROXY 2, listed, a stranger", from: proxyPeer, preface: proxyV2([192, 0, 2, 1]), is: "192.0.2.1" },
  { name: "PROXY 2, listed, its own health check", from: proxyPeer, preface: proxyV2([127, 0, 0, 1], 0x20) },
  { name: "PROXY 1, listed, malformed", from: proxyPeer, preface: "PROXY TCP4 127.0.0.1\r\n", is: "nobody" },
  { name: "PROXY left out where it must be", from: proxyPeer, preface: "EHLO client.test\r\n", is: "nobody" },
  {
    name: "PROXY, not listed, before the greeting",
    from: "192.0.2.1",
    preface: "PROXY TCP4 127.0.0.1 127.0.0.1 4000 25\r\n",
    is: "nobody",
  },
  {
    name: "PROXY, not listed, after the greeting",
    from: "192.0.2.1",
    said: ["PROXY TCP4 127.0.0.1 127.0.0.1 4000 25"],
  },
  {
    name: "PROXY, listed, twice",
    from: proxyPeer,
    preface: "PROXY TCP4 192.0.2.1 127.0.0.1 4000 25\r\n",
    said: ["PROXY TCP4 127.0.0.1 127.0.0.1 4000 25"],
    is: "192.0.2.1",
  },
  {
    name: "PROXY and XCLIENT, one listed each",
    from: proxyPeer,
    preface: "PROXY TCP4 192.0.2.1 127.0.0.1 4000 25\r\n",
    said: ["XCLIENT ADDR=127.0.0.1"],
    is: "192.0.2.1",
  },
];

/** `networks` of a config, and what is in them. */
export const networks: readonly { readonly list: readonly string[]; has(address: string): boolean }[] = [
  { list: ["127.0.0.0/8", "::1/128"], has: (address) => address.startsWith("127.") },
  { list: [], has: () => false },
  { list: ["192.0.2.0/31"], has: (address) => address === "192.0.2.1" },
  { list: ["127.0.0.0/8", "198.51.100.0/24"], has: (address) => /^(?:127|198\.51\.100)\./.test(address) },
];

/** What a raw hook may answer that is neither no opinion nor an objection: all of it is nonsense, and permits nothing. */
export const hookAnswers: readonly { readonly name: string; readonly answer?: () => unknown }[] = [
  { name: "no hook" },
  { name: "permit", answer: () => ({ kind: "permit" }) },
  { name: "an authorizing permit", answer: () => ({ kind: "permit", authorizes: true, authorized: true }) },
  { name: "true, late", answer: async () => true },
  { name: "a word", answer: () => "permit" },
  { name: "a list", answer: () => [{ kind: "permit" }] },
  { name: "an OK reply", answer: () => ({ kind: "reject", reply: { code: 250, enhanced: "2.1.5", text: "Ok" } }) },
];
