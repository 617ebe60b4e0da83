/** All rewriters of a gateway as one, each behind its guard: what one of them does wrong is a refusal for now, never half an envelope. */
import { encodeXtext } from "../address/xtext.ts";
import { canonicalAddress, isAscii } from "../address/index.ts";
import { PosternError, TableUnavailable } from "../errors.ts";
import { Failed, InvalidAnswer, type Guard } from "../guard/guard.ts";
import type { Owner } from "../guard/owner.ts";
import { after, isPromise, type Envelope, type MaybePromise, type Recipient, type Session } from "../model/index.ts";
import { uniqueRecipients } from "./envelope-edits.ts";
import type { Rewriter } from "./rewriter.ts";

export interface OwnedRewriter {
  readonly owner: Owner;
  readonly value: Rewriter;
}

/** One message cannot become a flood. */
const mostRecipients = 100_000;

/** In the given order, after `first`. Whatever `onError` says, a rewriter that fails defers: its mail would go elsewhere. */
export function combineRewriters(first: Rewriter, others: readonly OwnedRewriter[], guard: Guard): Rewriter {
  const knowing = others.filter(({ value }) => value.isAlias !== undefined);

  function rewriteFrom<E extends Envelope>(at: number, envelope: E, session: Session | undefined): MaybePromise<E> {
    const next = others[at];
    if (next === undefined) return envelope;
    const { owner, value } = next;
    const point = `rewriter ${value.name}`;
    const check = (answer: unknown): E => checkEnvelope(answer, envelope);
    const answer = guard.run(owner, point, check, () => value.rewrite(envelope, session));
    return after(answer, (rewritten) => rewriteFrom(at + 1, sound(rewritten, point), session));
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

  return Object.freeze({
    name: "all",
    rewrite: <E extends Envelope>(envelope: E, session: Session | undefined): MaybePromise<E> =>
      after(first.rewrite(envelope, session), (qualified) => rewriteFrom(0, qualified, session)),
    isAlias: (address: string) => isAliasFrom(0, address),
  });
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

function checkAddress(text: unknown): string {
  const address =
    typeof text === "string" ? canonicalAddress(text, { smtputf8: true, maxLocalPartOctets: 320 }) : undefined;
  if (address === undefined) throw new InvalidAnswer("a rewriter answers with addresses");
  return address;
}
