/**
 * From the end of data to a ruling: the content is looked at, its header made right, and judged by hooks, list and scanners. What becomes
 * of it then is `disposition.ts`.
 */
import { countReceived, openMessage, toParsedMessage, type Message } from "../message/index.ts";
import { isPromise, reply, type MaybePromise, type Reply } from "../model/index.ts";
import type { Content } from "./content.ts";
import type { Dialogue } from "./dialogue.ts";
import { dispose as disposeOf, object, refuse } from "./disposition.ts";
import type { OpenTransaction } from "./open-transaction.ts";
import { completeMessage } from "./trace.ts";

const tooLarge = reply(552, "5.3.4", "Message exceeds the size limit");
const headersTooLarge = reply(552, "5.3.4", "Header section exceeds the size limit");
/** Each costs many times its octets while the message is judged. */
const mostFields = 10_000;
const loop = reply(554, "5.4.6", "Too many hops");
const faults = {
  bareLf: reply(550, "5.5.2", "Message has LF without CR"),
  bareCr: reply(550, "5.5.2", "Message has CR without LF"),
  nul: reply(550, "5.6.0", "Message has NUL octets"),
} as const;

/** Why the content cannot be taken, as far as its octets tell. */
export function refusalOf(content: Content): Reply | undefined {
  if (content.fault !== undefined) return faults[content.fault];
  return content.tooLarge ? tooLarge : undefined;
}

export function acceptMessage(dialogue: Dialogue): MaybePromise<void> {
  const { transaction } = dialogue;
  const content = transaction?.content;
  if (transaction === undefined || content === undefined) return;
  transaction.receiving = false;
  transaction.received = true;
  dialogue.watchdog.suspend();
  return dialogue.proceed(content.end(), (blob) => {
    const refusal = refusalOf(content) ?? (blob === undefined ? tooLarge : undefined);
    if (refusal !== undefined || blob === undefined) return refuse(dialogue, transaction, refusal ?? tooLarge);
    return dialogue.proceed(openMessage(blob, { maxHeaderBytes: dialogue.limits.headerSizeBytes }), (message) =>
      inspect(dialogue, transaction, message),
    );
  });
}

/** Core's own rules, then the `headers` hook. */
function inspect(dialogue: Dialogue, transaction: OpenTransaction, message: Message): MaybePromise<void> {
  const { limits } = dialogue;
  if (toParsedMessage(message).section.cut || message.headers.length > mostFields) {
    return refuse(dialogue, transaction, headersTooLarge);
  }
  if (countReceived(message.headers) >= limits.hops) return refuse(dialogue, transaction, loop);
  const { headers: hook } = dialogue.generation.hooks.smtp;
  const asked = hook.tapped ? hook.call(message, transaction.plain, dialogue.session) : undefined;
  return dialogue.proceed(asked, (objection) =>
    objection === undefined ? prepare(dialogue, transaction, message) : object(dialogue, objection, "headers"),
  );
}

/** Addresses in the header are rewritten and missing fields added before anybody scans or signs it: nothing below changes it any more. */
function prepare(dialogue: Dialogue, transaction: OpenTransaction, message: Message): MaybePromise<void> {
  const { rewriter } = dialogue.generation;
  if (dialogue.place.ending !== undefined) return judge(dialogue, transaction, message);
  const rewritten = rewriter?.rewriteHeader?.(message, { session: dialogue.session }) ?? message;
  return dialogue.proceed(rewritten, (edited) =>
    judge(dialogue, transaction, completeMessage(dialogue, transaction.plain.id, edited)),
  );
}

/** The `message` hook, the list and the scanners, side by side; the hook's objection comes first. */
function judge(dialogue: Dialogue, transaction: OpenTransaction, message: Message): MaybePromise<void> {
  const { session, generation, policy, host } = dialogue;
  const { plain } = transaction;
  const { message: hook } = generation.hooks.smtp;
  const scanning = generation.scan === undefined ? undefined : new AbortController();
  const scanned =
    scanning === undefined
      ? undefined
      : generation.scan?.({
          session,
          transaction: plain,
          message,
          openSpool: () => transaction.openSpool(host.spooler),
          intakes: transaction.content?.intakes,
          signal: scanning.signal,
        });
  const abort = (): void => scanning?.abort();
  if (scanning !== undefined) dialogue.onEnd = abort;
  const hooked = hook.tapped ? hook.call(message, plain, session) : undefined;
  const judged = policy.judge({ session, transaction: plain, message }, scanned);
  // A rejection of the one must not be left alone while the other is waited for.
  if (isPromise(judged)) judged.catch(() => {});
  return dialogue.proceed(hooked, (objection) => {
    if (objection !== undefined) {
      abort();
      return object(dialogue, objection, "message");
    }
    return dialogue.proceed(judged, (ruling) => {
      if (ruling.objection !== undefined) {
        // The list's, perhaps: then nobody waits for the scanners.
        abort();
        return object(dialogue, ruling.objection, "message");
      }
      return dialogue.proceed(scanned, (outcome) => {
        dialogue.onEnd = undefined;
        const dispose = dialogue.place.ending ?? disposeOf;
        return dispose(dialogue, transaction, { message, ruling, edits: outcome?.edits ?? [] });
      });
    });
  });
}
