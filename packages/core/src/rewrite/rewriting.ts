/** All rewriters of a gateway as one, each behind its guard: what one of them does wrong is a refusal for now, never half an envelope. */
import { encodeXtext } from "../address/xtext.ts";
import { canonicalAddress, isAscii } from "../address/index.ts";
import { PosternError, TableUnavailable } from "../errors.ts";
import { Failed, InvalidAnswer, type Guard } from "../guard/guard.ts";
import type { Owner } from "../guard/owner.ts";
import type { Message, MessageOptions } from "../message/index.ts";
import { after, isPromise, logText, type Envelope, type MaybePromise, type Recipient } from "../model/index.ts";
import { uniqueRecipients } from "./envelope-edits.ts";
import { rewriteHeader } from "./header-addresses.ts";
import { rewriteOutbound, type OutboundMail } from "./outbound.ts";
import type { RewriteAsk, Rewriter, RewriteTrace } from "./rewriter.ts";
import { checkAddress } from "./sound-address.ts";

export interface OwnedRewriter {
  readonly owner: Owner;
  readonly value: Rewriter;
}

/** All of them. What no rewriter brings is `undefined`, so that nothing is looked at for it. */
export interface Rewriters {
  /** The envelope of an accepted message, or of one of the gateway's own. Throws `TableUnavailable`. */
  rewrite<E extends Envelope>(envelope: E, ask: RewriteAsk): MaybePromise<E>;
  /** The same of its header; the same message when nothing changes. */
  readonly rewriteHeader: ((message: Message, ask: RewriteAsk) => MaybePromise<Message>) | undefined;
  /** What a transport that says `outbound` is given; the queue keeps what it has. */
  readonly rewriteOutbound: (<M extends OutboundMail>(mail: M, trace?: RewriteTrace) => Promise<M>) | undefined;
  readonly isAlias: (address: string) => MaybePromise<boolean>;
  readonly movedTo: ((address: string) => MaybePromise<string | undefined>) | undefined;
}

/** One message cannot become a flood. */
const mostRecipients = 100_000;

/** In the given order, after `first`. Whatever `onError` says, a rewriter that fails defers: its mail would go elsewhere. */
export function combineRewriters(
  first: Rewriter,
  others: readonly OwnedRewriter[],
  guard: Guard,
  options: MessageOptions = {},
): Rewriters {
  const knowing = others.filter(({ value }) => value.isAlias !== undefined);
  const editing = others.filter(({ value }) => value.forHeader !== undefined);
  const leaving = others.filter(({ value }) => value.forOutbound !== undefined);
  const moving = others.filter(({ value }) => value.movedTo !== undefined);

  function rewriteFrom<E extends Envelope>(at: number, envelope: E, ask: RewriteAsk): MaybePromise<E> {
    const next = others[at];
    if (next === undefined) return envelope;
    const { owner, value } = next;
    const point = `rewriter ${value.name}`;
    const check = (answer: unknown): E => checkEnvelope(answer, envelope);
    const answer = guard.run(owner, point, check, () => value.rewrite(envelope, ask));
    return after(answer, (rewritten) => rewriteFrom(at + 1, sound(rewritten, point), ask));
  }

  function headerFrom(at: number, message: Message, ask: RewriteAsk): MaybePromise<Message> {
    const next = editing[at];
    if (next === undefined) return message;
    const { owner, value } = next;
    const point = `rewriter ${value.name}`;
    const answer = guard.run(owner, point, checkMessage, () => {
      const rewrite = value.forHeader?.(ask);
      return rewrite === undefined ? message : rewriteHeader(message, rewrite);
    });
    return after(answer, (rewritten) => headerFrom(at + 1, sound(rewritten, point), ask));
  }

  async function outbound<M extends OutboundMail>(mail: M, trace?: RewriteTrace): Promise<M> {
    const ask: RewriteAsk = trace === undefined ? { session: undefined } : { session: undefined, trace };
    let rewritten = mail;
    for (const { owner, value } of leaving) {
      const point = `rewriter ${value.name}`;
      const given = rewritten;
      // What comes back is made here: each address of it is checked there.
      const check = (answer: unknown): M => answer as M;
      const answer = await guard.run(owner, point, check, () => {
        const rewrite = value.forOutbound?.(ask);
        return rewrite === undefined ? given : rewriteOutbound(given, rewrite, options);
      });
      rewritten = sound(answer, point);
    }
    return rewritten;
  }

  function isAliasFrom(at: number, address: string): MaybePromise<boolean> {
    const next = knowing[at];
    if (next === undefined) return false;
    const { owner, value } = next;
    const point = `rewriter ${value.name}`;
    const answer = guard.run(owner, point, checkBoolean, () => value.isAlias?.(address));
    if (isPromise(answer)) return answer.then((late) => sound(late, point) || isAliasFrom(at + 1, address));
    return sound(answer, point) || isAliasFrom(at + 1, address);
  }

  function movedFrom(at: number, address: string): MaybePromise<string | undefined> {
    const next = moving[at];
    if (next === undefined) return undefined;
    const { owner, value } = next;
    const point = `rewriter ${value.name}`;
    const answer = guard.run(owner, point, checkPlace, () => value.movedTo?.(address));
    return after(answer, (known) => sound(known, point) ?? movedFrom(at + 1, address));
  }

  return Object.freeze({
    rewrite: <E extends Envelope>(envelope: E, ask: RewriteAsk): MaybePromise<E> =>
      after(first.rewrite(envelope, ask), (qualified) => rewriteFrom(0, qualified, ask)),
    rewriteHeader:
      editing.length === 0 ? undefined : (message: Message, ask: RewriteAsk) => headerFrom(0, message, ask),
    rewriteOutbound: leaving.length === 0 ? undefined : outbound,
    isAlias: (address: string) => isAliasFrom(0, address),
    movedTo: moving.length === 0 ? undefined : (address: string) => movedFrom(0, address),
  });
}

/** It was made here. */
const checkMessage = (answer: unknown): Message => answer as Message;

function checkPlace(answer: unknown): string | undefined {
  if (answer !== undefined && typeof answer !== "string") throw new InvalidAnswer("movedTo answers with text");
  return answer === undefined ? undefined : logText(answer, 300);
}

function sound<T>(answer: T | Failed, point: string): T {
  if (!(answer instanceof Failed)) return answer;
  if (answer.error instanceof TableUnavailable) throw answer.error;
  throw new PosternError("PLUGIN_FAILED", `${point} failed`, { cause: answer.error });
}

function checkBoolean(answer: unknown): boolean {
  if (typeof answer !== "boolean") throw new InvalidAnswer("isAlias answers true or false");
  return answer;
}

/** What is new in it is made canonical and each address is there once; the first stays, with its own DSN parameters. */
function checkEnvelope<E extends Envelope>(answer: unknown, before: E): E {
  if (answer === before) return before;
  const { sender, recipients, smtputf8 } = (answer ?? {}) as Partial<Envelope>;
  if (typeof sender !== "string" || !Array.isArray(recipients)) {
    throw new InvalidAnswer("a rewriter answers with an envelope");
  }
  if (recipients.length > mostRecipients) throw new InvalidAnswer(`more than ${mostRecipients} recipients`);
  if (recipients.length === 0 && before.recipients.length > 0) throw new InvalidAnswer("no recipients are left");
  const known = new Set(before.recipients);
  const checked = uniqueRecipients(
    (recipients as readonly Recipient[]).map((given) => (known.has(given) ? given : checkRecipient(given))),
  );
  const newSender = sender === before.sender || sender === "" ? sender : checkAddress(sender);
  // What leaves with such an address needs a peer that knows it (RFC 6531).
  const utf8 = smtputf8 === true || !isAscii(newSender) || checked.some(({ address }) => !isAscii(address));
  return { ...before, sender: newSender, smtputf8: before.smtputf8 || utf8, recipients: checked };
}

function checkRecipient(given: Recipient): Recipient {
  const address = checkAddress(given?.address);
  if (typeof given.original !== "string") throw new InvalidAnswer("a recipient keeps its original address");
  if (given.orcpt !== undefined) return { ...given, address };
  // RFC 3461 §4.2: the report is to name whom the sender wrote to.
  const original = canonicalAddress(given.original);
  if (original === undefined || original === address) return { ...given, address };
  return { ...given, address, orcpt: `rfc822;${encodeXtext(original)}` };
}
