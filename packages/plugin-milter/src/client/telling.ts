/** A message's content told to one milter: its fields, the end of them, its body; each as far as it was agreed that it wants it. */
import type { Message, Objection } from "@postern/core";
import { commandLetters, encodeCommand, mostDataOctets, steps, type CommandKind } from "../protocol/index.ts";
import { bodyPackets, headerPacket } from "./content.ts";
import type { Occasion } from "./macros.ts";
import type { Milter } from "./milter.ts";
import type { Outbox } from "./outbox.ts";
import { macrosPacket } from "./step.ts";
import { tooLarge } from "./trouble.ts";

/** What it needs of the conversation. */
export interface Telling {
  readonly milter: Milter;
  readonly outbox: Outbox;
  /** The milter wants no more of this message. */
  isOut(): boolean;
  /** It wants no more of this kind. */
  isSkipped(kind: CommandKind): boolean;
  /** Its answer to what was gathered; `undefined` to go on. */
  ask(kind: CommandKind): Promise<Objection | undefined>;
}

/** Rejects with `ScannerFailure`. */
export async function tellContent(
  telling: Telling,
  message: Message,
  occasion: Occasion,
  signal: AbortSignal,
): Promise<Objection | undefined> {
  return (
    (await tellHeaders(telling, message, signal)) ??
    (await tellEndOfHeaders(telling, occasion)) ??
    (await tellBody(telling, message, signal))
  );
}

async function tellHeaders(
  telling: Telling,
  { headers }: Message,
  signal: AbortSignal,
): Promise<Objection | undefined> {
  const { outbox, milter } = telling;
  const { agreement } = outbox.lineInStep;
  if ((agreement.steps & steps.noHeaders) !== 0) return undefined;
  const isUnanswered = (agreement.steps & steps.noReplyToHeader) !== 0;
  const leadingSpace = (agreement.steps & steps.leadingSpace) !== 0;
  const most = mostDataOctets(agreement);
  for (const field of headers) {
    if (signal.aborted || telling.isSkipped("header")) return undefined;
    if (field.raw.length > most) throw tooLarge(`a header field of more than ${most} octets`);
    const packet = headerPacket(field, leadingSpace);
    if (packet === undefined) continue;
    outbox.gather(packet);
    if (isUnanswered) await outbox.pressure(milter.settings.contentTimeoutMs);
    else {
      const objection = await telling.ask("header");
      if (objection !== undefined || telling.isOut()) return objection;
    }
  }
  return undefined;
}

async function tellEndOfHeaders(telling: Telling, occasion: Occasion): Promise<Objection | undefined> {
  if (telling.isOut()) return undefined;
  const { outbox, milter } = telling;
  const { agreement } = outbox.lineInStep;
  if ((agreement.steps & steps.noEndOfHeaders) !== 0 || telling.isSkipped("endOfHeaders")) return undefined;
  const macros = await milter.macros.at("endOfHeaders", agreement.macros, occasion);
  if (macros !== undefined) outbox.gather(macrosPacket(commandLetters.endOfHeaders, macros));
  outbox.gather(encodeCommand({ kind: "endOfHeaders" }));
  if ((agreement.steps & steps.noReplyToEndOfHeaders) !== 0) return undefined;
  return telling.ask("endOfHeaders");
}

async function tellBody(telling: Telling, { body }: Message, signal: AbortSignal): Promise<Objection | undefined> {
  if (telling.isOut()) return undefined;
  const { outbox, milter } = telling;
  const { agreement } = outbox.lineInStep;
  if ((agreement.steps & steps.noBody) !== 0) return undefined;
  const isUnanswered = (agreement.steps & steps.noReplyToBody) !== 0;
  for await (const packet of bodyPackets(body, mostDataOctets(agreement))) {
    if (signal.aborted) return undefined;
    outbox.flush();
    outbox.gather(...packet);
    if (isUnanswered) {
      outbox.flush();
      await outbox.pressure(milter.settings.contentTimeoutMs);
      continue;
    }
    const objection = await telling.ask("body");
    if (objection !== undefined || telling.isOut() || telling.isSkipped("body")) return objection;
  }
  return undefined;
}
