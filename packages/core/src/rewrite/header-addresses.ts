/** The addresses in a message's header, each offered to a rewriter, and those that it changes put in place. */
import { isUtf8 } from "node:buffer";
import { setImmediate as turn } from "node:timers/promises";
import { domainToAscii, isAscii } from "../address/index.ts";
import { InvalidAnswer } from "../guard/guard.ts";
import {
  findAddresses,
  spliceHeader,
  toParsedMessage,
  type AddressSpan,
  type Message,
  type Splice,
} from "../message/index.ts";
import { isPromise, type MaybePromise } from "../model/index.ts";
import type { AddressPlace, RewriteAddress } from "./rewriter.ts";

/** The fields that Postfix rewrites, and whose addresses stand in them (its header_opts). */
const senders = [
  "disposition-notification-to",
  "errors-to",
  "from",
  "mail-followup-to",
  "reply-to",
  "resent-from",
  "resent-sender",
  "return-path",
  "return-receipt-to",
  "sender",
];
const recipients = ["apparently-to", "bcc", "cc", "resent-bcc", "resent-cc", "resent-reply-to", "resent-to", "to"];
const places: ReadonlyMap<string, AddressPlace> = new Map([
  ...senders.map((name) => [name, "header_sender"] as const),
  ...recipients.map((name) => [name, "header_recipient"] as const),
]);

/** Octets of address fields, and addresses in them, of one message; those behind stay as they are. Postfix cuts a field at 102,400 octets. */
const mostOctets = 256 * 1024;
const mostAddresses = 10_240;
/** Addresses asked for at a time when a table is elsewhere, and those in memory before others have their turn. */
const atATime = 20;
const addressesPerTurn = 2000;
const longestAddress = 1000;

interface FoundAddress extends AddressSpan {
  readonly place: AddressPlace;
}

/** The same message when no address changes. Throws what `rewrite` throws, and `InvalidAnswer` for an answer that is no address. */
export function rewriteHeader(message: Message, rewrite: RewriteAddress): MaybePromise<Message> {
  const found = addressesOf(message);
  if (found.length === 0) return message;
  return new HeaderPass(message, found, rewrite).run();
}

function addressesOf(message: Message): FoundAddress[] {
  const { fields } = toParsedMessage(message).parsedHeaders;
  const found: FoundAddress[] = [];
  let left = mostOctets;
  for (const field of fields) {
    const place = places.get(field.lowerName);
    if (place === undefined) continue;
    const raw = field.raw.toString("latin1");
    const colon = raw.indexOf(":") + 1;
    const value = raw.slice(colon);
    const spans = findAddresses(value, left);
    left -= value.length;
    for (const span of spans) {
      if (found.length >= mostAddresses) return found;
      const offset = field.start + colon;
      const start = offset + span.start;
      found.push({
        ...span,
        text: decode(span.text),
        place,
        start,
        end: offset + span.end,
      });
    }
  }
  return found;
}

function decode(latin1: string): string {
  if (!/[\u0080-\u00ff]/.test(latin1)) return latin1;
  const octets = Buffer.from(latin1, "latin1");
  return isUtf8(octets) ? octets.toString("utf8") : latin1;
}

class HeaderPass {
  readonly #message: Message;
  readonly #found: readonly FoundAddress[];
  readonly #rewrite: RewriteAddress;
  readonly #splices: Splice[] = [];
  /** A list names the same people again and again. */
  readonly #known = new Map<string, string>();

  constructor(message: Message, found: readonly FoundAddress[], rewrite: RewriteAddress) {
    this.#message = message;
    this.#found = found;
    this.#rewrite = rewrite;
  }

  run(from = 0): MaybePromise<Message> {
    for (let at = from; at < this.#found.length; at++) {
      if (at - from >= addressesPerTurn) return turn().then(() => this.run(at));
      const address = this.#found[at] as FoundAddress;
      const answer = this.#ask(address);
      if (isPromise(answer)) return this.#late(at, answer);
      this.#take(address, answer);
    }
    return spliceHeader(this.#message, this.#splices);
  }

  async #late(from: number, first: Promise<string>): Promise<Message> {
    const some = this.#found.slice(from, from + atATime);
    const others = some.slice(1).map(async (address) => this.#ask(address));
    const answers = await Promise.all([first, ...others]);
    for (const [at, address] of some.entries()) this.#take(address, answers[at]);
    return this.run(from + some.length);
  }

  #ask({ text, place }: FoundAddress): MaybePromise<string> {
    return this.#known.get(`${place} ${text}`) ?? this.#rewrite(text, place);
  }

  #take({ text, place, start, end, comments }: FoundAddress, answer: unknown): void {
    if (answer === text) return;
    if (typeof answer !== "string" || !isAddress(answer)) throw new InvalidAnswer("a rewriter answers with addresses");
    this.#known.set(`${place} ${text}`, answer);
    // They may be folded, and have octets that nobody else may put in.
    const kept = comments === "" ? undefined : Buffer.from(comments, "latin1");
    this.#splices.push({ start, end, text: withALabels(answer), ...(kept && { kept }) });
  }
}

/** Everybody understands A-labels in a header; a local part that needs UTF-8 needs it anyway (RFC 6532). */
function withALabels(address: string): string {
  if (isAscii(address)) return address;
  const at = address.lastIndexOf("@") + 1;
  const domain = isAscii(address.slice(0, at)) ? domainToAscii(address.slice(at)) : null;
  return domain === null ? address : address.slice(0, at) + domain;
}

/** One address and nothing that would be more than one in a header field. */
function isAddress(text: string): boolean {
  if (text === "" || text.length > longestAddress) return false;
  const spans = findAddresses(text);
  return spans.length === 1 && spans[0]?.text === text;
}
