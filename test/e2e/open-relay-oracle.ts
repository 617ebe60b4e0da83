// What the design says about relaying, in words of its own: nothing here looks at the gateway's code. A list is a sequence
// of entries, each with what it says to a client that is known or not; the oracle reads them as an operator would.

export type Stage = "connect" | "helo" | "mail" | "relay" | "rcpt" | "data" | "message";

export interface Asked {
  /** Who the client is after the proxy's word (PROXY) or a listed client's (XCLIENT). */
  readonly address: string | undefined;
  readonly inNetworks: boolean;
  readonly recipient: Recipient;
  /** Logged in, by AUTH or by the word of a listed client. */
  readonly login?: boolean;
  /** The table that says which domains are ours is down. */
  readonly down?: boolean;
}

/**
 * "never": no address at all. "routing": a second destination inside. "postmaster" has no domain and is ours. "below" is a
 * subdomain of ours: ours where domains are relay domains, foreign otherwise. "bare" has no domain: the origin's when one of our own
 * clients writes it, no address at all when a stranger does.
 */
export type RecipientKind = "ours" | "foreign" | "routing" | "never" | "postmaster" | "below" | "bare";

export interface Recipient {
  /** As written behind `RCPT TO:`. */
  readonly path: string;
  readonly kind: RecipientKind;
  /** A grammatical oddity that may be refused to anybody. */
  readonly odd?: boolean;
}

/** "refuse" is for good, for now, or when everything else permits. */
export type Said = "permit" | "permit and authorize" | "refuse" | "nothing";

/** One entry of a list and what it says. */
export interface Entry {
  readonly entry: string | readonly [string, ...unknown[]];
  readonly stages: readonly Stage[];
  says(asked: Asked, stage: Stage): Said;
}

export type Lists = Readonly<Partial<Record<Stage, readonly Entry[]>>>;

/** The lists that are asked until a recipient is taken, in order. */
const untilRecipient: readonly Stage[] = ["connect", "helo", "mail", "relay", "rcpt"];

/** "below" decided. */
export function settleKind(recipient: Recipient, addressClass: string): Recipient {
  if (recipient.kind !== "below") return recipient;
  return { ...recipient, kind: addressClass === "relay" ? "ours" : "foreign" };
}

export function isOurs({ kind }: Recipient): boolean {
  return kind === "ours" || kind === "postmaster" || kind === "bare";
}

/**
 * Accepted: no list refuses, and the recipient is ours and plainly written, or in `relay` or `rcpt` a word that knows the
 * client permitted it.
 */
export function mayPass(lists: Lists, asked: Asked): boolean {
  const { recipient } = asked;
  if (recipient.kind === "never") return false;
  if (recipient.kind === "bare" && !asked.inNetworks && asked.login !== true) return false;
  // Whose it is cannot be told: nobody may send there, not even those who may send anywhere, until it can.
  if (asked.down === true && recipient.kind !== "postmaster" && recipient.kind !== "bare") return false;
  let authorized = false;
  for (const stage of untilRecipient) {
    for (const entry of lists[stage] ?? []) {
      const said = entry.says(asked, stage);
      if (said === "refuse") return false;
      if (said === "permit and authorize" && (stage === "relay" || stage === "rcpt")) authorized = true;
      if (said !== "nothing") break;
    }
  }
  return authorized || isOurs(recipient);
}
