/**
 * The command line of pipe(8): `${name}`, `$(name)` and `$name` in words that no shell ever sees, `$$` for a dollar. A word about a recipient becomes one word
 * for each recipient.
 */
import { splitExtension, type DeliveryRequest, type Recipient } from "@postern/core";

/** Facts of a delivery; of the message, or of one recipient. */
type Macro = (facts: Facts, recipient: Pick<Recipient, "address" | "original">) => string;

export interface Facts {
  readonly request: Pick<DeliveryRequest, "id" | "envelope" | "route" | "content" | "origin">;
  readonly recipientDelimiter: string;
  /** In place of the null sender. */
  readonly nullSender: string;
  /** How a recipient is written: folded, quoted. */
  readonly write: (address: string) => string;
  /** How the sender is: quoted. */
  readonly writeSender: (address: string) => string;
  readonly foldDomain: boolean;
}

const ofMessage: Readonly<Record<string, Macro>> = {
  sender: ({ request: { envelope }, nullSender, writeSender }) =>
    envelope.sender === "" ? nullSender : writeSender(envelope.sender),
  nexthop: ({ request, foldDomain }) => (foldDomain ? request.route.nextHop.toLowerCase() : request.route.nextHop),
  queue_id: ({ request }) => request.id,
  size: ({ request }) => String(request.content.sizeBytes),
  envid: ({ request }) => request.envelope.envid ?? "",
  client_address: ({ request }) => request.origin?.clientAddress ?? "",
  client_hostname: ({ request }) => request.origin?.clientName ?? "",
  client_helo: ({ request }) => request.origin?.helo ?? "",
  client_protocol: ({ request }) => request.origin?.protocol ?? "",
};

const ofRecipient: Readonly<Record<string, Macro>> = {
  recipient: ({ write }, { address }) => write(address),
  original_recipient: ({ write }, { original }) => write(original),
  mailbox: ({ write }, { address }) => localPart(write(address)),
  domain: ({ write }, { address }) => write(address).slice(localPart(write(address)).length + 1),
  user: (facts, { address }) => split(facts, address).localPart,
  extension: (facts, { address }) => split(facts, address).extension ?? "",
};

export const macroNames: readonly string[] = [...Object.keys(ofMessage), ...Object.keys(ofRecipient)];

/** For words that are about no recipient. */
const nobody = [{ address: "", original: "" }];

const macro = /\$(?:\{(\w+)\}|\((\w+)\)|(\w+)|\$)/g;

const lookUp = (name: string): Macro | undefined =>
  Object.hasOwn(ofMessage, name) ? ofMessage[name] : Object.hasOwn(ofRecipient, name) ? ofRecipient[name] : undefined;

/** Names in the words that mean nothing. */
export function unknownMacros(words: readonly string[]): string[] {
  return words.flatMap((word) => namesIn(word)).filter((name) => lookUp(name) === undefined);
}

/** Is anything put into the word? */
export const hasMacros = (word: string): boolean => namesIn(word).length > 0;

/** An address that would be taken for an option. */
export class LooksLikeOption extends Error {}

/** Throws `LooksLikeOption`: behind a word `--` nothing does. */
export function expandArguments(words: readonly string[], facts: Facts, recipients: readonly Recipient[]): string[] {
  const expanded: string[] = [];
  let optionsEnded = false;
  for (const word of words) {
    const about = namesIn(word).some((name) => Object.hasOwn(ofRecipient, name)) ? recipients : nobody;
    for (const recipient of about) {
      const text = word.replace(macro, (written, ...[one, two, three]: (string | undefined)[]) => {
        if (written === "$$") return "$";
        const value = lookUp(one ?? two ?? three ?? "")?.(facts, recipient) ?? "";
        // A NUL would end the word.
        return value.replaceAll("\0", "");
      });
      if (!optionsEnded && text.startsWith("-") && !word.startsWith("-")) throw new LooksLikeOption(text);
      expanded.push(text);
    }
    if (word === "--") optionsEnded = true;
  }
  return expanded;
}

function namesIn(word: string): string[] {
  return [...word.matchAll(macro)].flatMap(([, one, two, three]) => one ?? two ?? three ?? []);
}

function localPart(address: string): string {
  const at = address.lastIndexOf("@");
  return at < 0 ? address : address.slice(0, at);
}

function split({ recipientDelimiter, write }: Facts, address: string) {
  return splitExtension(localPart(write(address)), recipientDelimiter);
}
