/**
 * Addresses that teach rspamd: mail that our own clients send to them is learnt by the controller and goes no further. Strangers are refused there, since
 * whoever teaches a filter decides what it lets in.
 */
import {
  isOwnClient,
  reject,
  ScannerFailure,
  walkParts,
  type Blob,
  type Message,
  type ScanAnswer,
  type ScanAsk,
  type UsedMatchList,
} from "@postern/core";
import type { Client } from "./client.ts";
import { errorIn } from "./rspamd.ts";

export interface Lessons {
  readonly client: Client;
  readonly password: string | undefined;
  readonly spam: UsedMatchList<string>;
  readonly ham: UsedMatchList<string>;
  /** Somebody only asks what would become of a message. */
  readonly dry: boolean;
}

const mostAttached = 100;

const stranger = reject("Only our own users may report here", "5.7.1", 550);
const mixed = reject("Report to one address alone", "5.7.1", 550);

/** What becomes of a message for a teaching address; `undefined` when it is for none. */
export async function learn(lessons: Lessons, ask: ScanAsk): Promise<ScanAnswer> {
  const { session, transaction, message, signal } = ask;
  let [spam, ham] = [0, 0];
  for (const { address } of transaction.recipients) {
    if (await lessons.spam.matches(address)) spam += 1;
    else if (await lessons.ham.matches(address)) ham += 1;
  }
  if (spam + ham === 0) return undefined;
  if (!isOwnClient(session)) return stranger;
  if (spam !== transaction.recipients.length && ham !== transaction.recipients.length) return mixed;
  const kind = spam > 0 ? "spam" : "ham";
  if (lessons.dry) return { kind: "discard", text: `to be learnt as ${kind}` };
  const attached = await attachedMessages(message);
  const said = new Map<string, number>();
  for (const content of attached.length === 0 ? [message.raw] : attached) {
    const text = await teach(lessons, kind, content, signal);
    said.set(text, (said.get(text) ?? 0) + 1);
  }
  const texts = [...said].map(([text, count]) => (attached.length > 1 ? `${count} ${text}` : text));
  return { kind: "discard", text: texts.join(", ") };
}

/** What the controller says of one message. One that it knows is known, so that a lesson in part may be given again. */
async function teach(lessons: Lessons, kind: string, content: Blob, signal: AbortSignal): Promise<string> {
  const headers = lessons.password === undefined ? {} : { Password: lessons.password };
  const { status, statusText, octets } = await lessons.client.post(`/learn${kind}`, headers, content, signal);
  switch (status) {
    case 200:
      return `learnt as ${kind}`;
    case 208:
      return `known as ${kind} already`;
    case 204: // too few words, for instance: there is no use in sending it again
      return `nothing to be learnt as ${kind}: ${statusText}`;
    default:
      throw new ScannerFailure(
        status === 413 ? "tooLarge" : "error",
        `rspamd's controller: ${status} ${statusText} ${errorIn(octets)}`,
      );
  }
}

/** Who forwards mail as attachments means those, and not what is around them; of one within another the outer one. */
async function attachedMessages(message: Message): Promise<readonly Blob[]> {
  const found = new Map<string, Blob>();
  for await (const { kind, path, body } of walkParts(message)) {
    if (kind !== "message") continue;
    for (const inner of found.keys()) if (inner.startsWith(`${path}.`)) found.delete(inner);
    found.set(path, body);
  }
  if (found.size > mostAttached) throw new ScannerFailure("unscannable", `more than ${mostAttached} attached messages`);
  return [...found.values()];
}
