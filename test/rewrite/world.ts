// What both are given: settings and tables of rewriting, and mails with addresses in every form, all from one seed.
import type { AddressPlace } from "@postern/core";

export type Table = readonly (readonly [key: string, value: string])[];

const places = ["envelope_sender", "envelope_recipient", "header_sender", "header_recipient"] as const;
type Extended = "canonical" | "virtual" | "generic";

export interface World {
  readonly canonical: Table;
  /** A table of patterns, asked after `canonical`. */
  readonly patterns: Table;
  readonly canonicalClasses: readonly AddressPlace[];
  readonly senderCanonical: Table;
  readonly senderCanonicalClasses: readonly AddressPlace[];
  readonly recipientCanonical: Table;
  readonly recipientCanonicalClasses: readonly AddressPlace[];
  readonly masquerade: readonly string[];
  readonly masqueradeExceptions: readonly string[];
  readonly masqueradeClasses: readonly AddressPlace[];
  readonly virtual: Table;
  readonly generic: Table;
  readonly relocated: Table;
  readonly alwaysBcc: string | undefined;
  readonly senderBcc: Table;
  readonly recipientBcc: Table;
  readonly propagateExtensions: readonly Extended[];
  readonly recipientDelimiter: string;
  readonly appendDomain: boolean;
  readonly swapBangpath: boolean;
  readonly percentHack: boolean;
  readonly remoteHeaderDomain: string | undefined;
}

export interface Mail {
  /** In `X-Case`. */
  readonly id: string;
  /** Of a client of ours, or of a stranger. */
  readonly own: boolean;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Whole fields, each with its folding, CRLF at the ends. */
  readonly fields: readonly string[];
}

/** Ours: the origin and a domain that is relayed. */
const ours = ["local.test", "relay.test", "sub.relay.test"];
const foreign = ["inside.test", "host.inside.test", "deep.host.inside.test", "kept.inside.test", "other.test"];
const users = ["joe", "ann", "root", "joe+x", "ann+x+y", "ann-x", "owner-joe", "postmaster", '"joe b"', '"ann b+x"'];
const plainUsers = users.filter((user) => !user.startsWith('"'));

const patterns: Table = [
  ["/^(.*)@host\\.inside\\.test$/", "$1@inside.test"],
  ["/^ann([+-].*)?@/", "anna@other.test"],
  ["/^root$/", "admin"],
  ["/^(joe)\\+(.*)@(.*)\\.test$/", "$2.$1@$3.test"],
];

interface Dice {
  readonly pick: <T>(from: readonly T[]) => T;
  readonly chance: (probability: number) => boolean;
  readonly some: <T>(most: number, make: () => T) => T[];
}

function diceOf(random: () => number): Dice {
  return {
    pick: (from) => from[Math.floor(random() * from.length)] as never,
    chance: (probability) => random() < probability,
    some: (most, make) => Array.from({ length: Math.floor(random() * (most + 1)) }, make),
  };
}

const once = (table: Table): Table => [...new Map(table).entries()];

export function randomWorld(random: () => number): World {
  const { pick, chance, some } = diceOf(random);
  const domains = [...ours, ...foreign];
  const address = (): string => `${pick(users)}@${pick(domains)}`;
  const key = (): string => pick([address, address, () => `@${pick(domains)}`, () => pick(plainUsers)])();
  const one = (): string =>
    pick([
      address,
      address,
      () => pick(plainUsers),
      () => `@${pick(domains)}`,
      () => `${pick(["joe", "ann"])}@short`,
    ])();
  // Postfix wants the address of a copy without its quotes.
  const copy = (): string => `${pick(plainUsers)}@${pick(domains)}`;
  const table = (most: number, value: () => string): Table => once(some(most, () => [key(), value()] as const));
  const classes = (all: readonly AddressPlace[], standard = all): readonly AddressPlace[] => {
    const chosen = chance(0.6) ? standard : all.filter(() => chance(0.5));
    return chosen.length === 0 ? all : chosen;
  };
  // What is behind `@domain` in one value each of us reads in its own way.
  const list = (): string =>
    chance(0.2)
      ? `@${pick(domains)}`
      : [address(), ...some(2, one)].filter((text) => !text.startsWith("@")).join(pick([", ", ","]));
  return {
    canonical: table(8, one),
    patterns: chance(0.4) ? some(2, () => pick(patterns)) : [],
    canonicalClasses: classes(places),
    senderCanonical: chance(0.5) ? table(5, one) : [],
    senderCanonicalClasses: classes(["envelope_sender", "header_sender"]),
    recipientCanonical: chance(0.5) ? table(5, one) : [],
    recipientCanonicalClasses: classes(["envelope_recipient", "header_recipient"]),
    masquerade: chance(0.6)
      ? some(3, () =>
          pick(["inside.test", "host.inside.test", "!kept.inside.test", "!!relay.test", "!inside.test", "relay.test"]),
        )
      : [],
    masqueradeExceptions: chance(0.4) ? ["root"] : [],
    masqueradeClasses: classes(places, ["envelope_sender", "header_sender", "header_recipient"]),
    virtual: chance(0.6) ? table(6, list) : [],
    generic: chance(0.6) ? table(6, one) : [],
    relocated: chance(0.4) ? table(4, () => pick(["ann@elsewhere.test", "the moon, behind it"])) : [],
    alwaysBcc: chance(0.3) ? copy() : undefined,
    senderBcc: chance(0.4) ? table(4, copy) : [],
    recipientBcc: chance(0.4) ? table(4, copy) : [],
    propagateExtensions: (["canonical", "virtual", "generic"] as const).filter(() => chance(0.6)),
    recipientDelimiter: pick(["+", "+", "", "+-"]),
    appendDomain: chance(0.5),
    swapBangpath: chance(0.3),
    percentHack: chance(0.3),
    remoteHeaderDomain: chance(0.4) ? "remote.invalid" : undefined,
  };
}

export function randomMail(random: () => number, id: string): Mail {
  const { pick, chance, some } = diceOf(random);
  const own = chance(0.7);
  const domains = [...ours, ...foreign];
  const oneOrMore = <T>(most: number, make: () => T): T[] => [make(), ...some(most - 1, make)];
  const address = (): string => `${pick(users)}@${pick(domains)}`;
  const sender = pick([address, address, address, () => "", () => "mailer-daemon@local.test", () => "joe@short"])();
  const recipient = (): string => (own && chance(0.6) ? address() : `${pick(users)}@${pick(ours)}`);

  const blank = (): string => pick([" ", "", "  ", "\t", "\r\n ", "\r\n\t"]);
  const comment = (): string =>
    pick(["(a comment)", "(nested (one) here)", "(with, comma; semicolon: and <angle>)", '("quote)', "(\\) escaped)"]);
  const odd = (): string =>
    pick([
      () => pick(plainUsers),
      () => `${pick(plainUsers)}@${pick(["short", "host"])}`,
      () => `${pick(plainUsers)} @ ${pick(domains)}`,
      () => `"joe"@${pick(domains)}`,
      () => `${pick(plainUsers)}@${pick(domains).toUpperCase()}`,
      () => `${pick(domains)}!${pick(["joe", "ann"])}`,
      () => `${pick(["joe", "ann"])}%${pick(domains)}`,
      () => `${pick(plainUsers)}@[192.0.2.1]`,
    ])();
  const spec = (): string => (chance(0.75) ? address() : odd());
  const phrase = (): string =>
    pick(["Joe Doe", '"Doe, Joe"', "=?utf-8?q?J=C3=B6?=", '"joe@other.test"', "Joe (the) Doe", '"a \\" b"']);
  const mailbox = (): string =>
    pick([
      spec,
      spec,
      () => `<${spec()}>`,
      () => `${phrase()} <${spec()}>`,
      () => `${phrase()}${blank()}<${spec()}>`,
      () => `${phrase()} <@a.test,@b.test:${address()}>`,
      () => `${spec()} ${comment()}`,
      () => `${comment()}${blank()}${spec()}`,
      () => `${phrase()} <${spec()}> ${comment()}`,
    ])();
  const group = (): string =>
    `${pick(["friends", '"my friends"', "A group"])}:${blank()}${some(3, mailbox).join(",")};`;
  const entry = (): string => (chance(0.9) ? mailbox() : group());
  const list = (): string => oneOrMore(4, entry).join(`,${blank()}`);
  const senders = [
    "Sender",
    "Reply-To",
    "Errors-To",
    "Return-Receipt-To",
    "Mail-Followup-To",
    "Disposition-Notification-To",
  ];
  const others = ["Cc", "Bcc", "Apparently-To"];
  // Of a mail that was resent Postfix wants all of these.
  const resent = (): string[] => [
    field("Resent-From", mailbox()),
    field("Resent-Sender", mailbox()),
    field("Resent-To", list()),
    field(pick(["Resent-Cc", "Resent-Reply-To"]), list()),
    "Resent-Date: Mon, 2 Nov 2026 11:00:00 +0000\r\n",
    `Resent-Message-ID: <${id}@resent.test>\r\n`,
  ];
  const name = (text: string): string => pick([text, text, text.toLowerCase(), text.toUpperCase()]);
  const field = (text: string, value: string): string => `${name(text)}:${pick([" ", "", " \r\n "])}${value}\r\n`;
  return {
    id,
    own,
    sender,
    recipients: [...new Set(oneOrMore(3, recipient))],
    fields: [
      `X-Case: ${id}\r\n`,
      field("From", mailbox()),
      field("To", list()),
      ...some(2, () => field(pick(senders), list())),
      ...some(2, () => field(pick(others), list())),
      ...(chance(0.3) ? resent() : []),
      // None of these is anybody's business.
      `X-Address: ${address()}\r\n`,
      `Subject: to ${address()}\r\n`,
      `Message-ID: <${id}@${pick(domains)}>\r\n`,
      "Date: Mon, 2 Nov 2026 10:00:00 +0000\r\n",
    ],
  };
}
