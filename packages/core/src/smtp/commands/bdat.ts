/**
 * BDAT (RFC 3030 §2): a chunk of the message whose octets follow the command at once. Whatever is wrong with it, its octets are
 * taken off the wire before the reply. A refused chunk ends the transaction; chunks pipelined behind it get 503.
 */
import { reply, type MaybePromise, type Reply } from "../../model/index.ts";
import { acceptMessage, refusalOf } from "../acceptance.ts";
import type { Dialogue } from "../dialogue.ts";
import { ChunkReceiver } from "../receivers.ts";
import type { Command } from "./index.ts";
import { askData, beginContent } from "./data.ts";

/** Without a size nobody knows where the next command begins (RFC 7504 §4.1: 521 and the end). */
const syntax = reply(521, "5.5.4", "Syntax: BDAT size [LAST]; closing connection");
const tooLarge = reply(552, "5.3.4", "Message exceeds the size limit");

const form = /^(\d{1,20})(?: +(LAST))?$/i;

export const bdat: Command = (dialogue, argument, misplaced) => {
  const match = form.exec(argument);
  if (match === null) return dialogue.bye(syntax);
  const sizeBytes = Number(match[1]);
  const last = match[2] !== undefined;
  // More than anyone would wait for.
  if (sizeBytes > dialogue.limits.messageSizeBytes * 2 + 1024 * 1024) return dialogue.bye(tooLarge);
  const { transaction } = dialogue;
  if (misplaced !== undefined || transaction === undefined) {
    return swallow(dialogue, sizeBytes, () => dialogue.say(misplaced ?? syntax));
  }
  if (dialogue.state === "chunking") return takeChunk(dialogue, sizeBytes, last);
  const accepted = (): MaybePromise<void> => {
    beginContent(dialogue, transaction);
    dialogue.state = "chunking";
    return takeChunk(dialogue, sizeBytes, last);
  };
  // The chunk's octets are behind the command already: they go, though the refusal is said.
  return askData(dialogue, "BDAT", accepted, () => {
    dialogue.endTransaction(false);
    return swallow(dialogue, sizeBytes, () => {});
  });
};

/** Takes the octets off the wire, then says what is to be said. */
function swallow(dialogue: Dialogue, sizeBytes: number, say: () => void): MaybePromise<void> {
  const end = { complete: say, giveUp: () => {} };
  if (sizeBytes === 0) return say();
  dialogue.wire.receive(new ChunkReceiver(sizeBytes, undefined, end));
}

function takeChunk(dialogue: Dialogue, sizeBytes: number, last: boolean): MaybePromise<void> {
  const { transaction, limits, host } = dialogue;
  const content = transaction?.content;
  if (transaction === undefined || content === undefined) return;
  const complete = () => dialogue.guarded("BDAT", () => endChunk(dialogue, sizeBytes, last), "");
  if (sizeBytes === 0) return complete();
  const receiver = new ChunkReceiver(sizeBytes, content, { complete, giveUp: () => {} });
  const leftMs = limits.dataTimeoutMs - (host.clock.monotonic() - transaction.contentSince);
  dialogue.receive(receiver, Math.max(leftMs, 0), limits.minRateBytesPerSecond);
}

function endChunk(dialogue: Dialogue, sizeBytes: number, last: boolean): MaybePromise<void> {
  const { transaction } = dialogue;
  if (transaction?.content === undefined) return;
  transaction.receiving = false;
  if (last) {
    transaction.content.check?.end();
    return acceptMessage(dialogue);
  }
  const refusal: Reply | undefined = refusalOf(transaction.content);
  if (refusal !== undefined) {
    dialogue.endTransaction(false);
    return dialogue.say(refusal);
  }
  dialogue.say(reply(250, "2.0.0", `${sizeBytes} octets taken`));
}
