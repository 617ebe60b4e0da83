/** A message asked about at rspamd, and its answer in the gateway's words. */
import {
  isOwnClient,
  namePattern,
  ScannerFailure,
  type Blob,
  type ScanAnswer,
  type ScanAsk,
  type ScanPart,
  type Spool,
} from "@postern/core";
import { readAnswer, type RspamdAnswer } from "./answer.ts";
import { editPart, milterEdits, outsideEdits, setHeader, subjectEdit, type Change } from "./changes.ts";
import type { Client } from "./client.ts";
import type { Options } from "./options.ts";
import { requestHeaders, type RequestSettings } from "./request-headers.ts";
import { effectOf, objectionOf, treatmentOf } from "./treatment.ts";

export type RspamdOptions = Pick<Options, "actions" | "spamHeader" | "subject" | "removeFromOutside" | "maxSize">;

export function createRspamd(
  client: Client,
  options: RspamdOptions,
  settings: RequestSettings,
): (ask: ScanAsk) => Promise<ScanAnswer> {
  const patterns = options.removeFromOutside.map(namePattern);
  return async (ask) => {
    const { session, transaction, message } = ask;
    if (message.sizeBytes > options.maxSize) {
      throw new ScannerFailure("tooLarge", `${message.sizeBytes} bytes are more than maxSize, ${options.maxSize}`);
    }
    const headers = requestHeaders(session, transaction, settings);
    const { answer, body } = await check(client, headers, ask);
    const treatment = treatmentOf(answer, options.actions);
    const withoutAction = answer.milter?.no_action === true;
    if (!withoutAction) {
      const objection = objectionOf(treatment, answer);
      if (objection !== undefined) return objection;
    }
    const change: Change = { answer, message };
    const parts: ScanPart[] = isOwnClient(session) ? [] : outsideEdits(patterns, message).map(editPart);
    parts.push(...milterEdits(change).map(editPart));
    if (body !== undefined) parts.push({ kind: "edit", edit: { kind: "replaceBody", body } });
    if (withoutAction) {
      parts.push({ kind: "edit", edit: { kind: "appendHeader", name: "X-Rspamd-Action", value: answer.action } });
      return parts;
    }
    if (treatment === "tag") parts.push(...tag(options.spamHeader, change).map(editPart));
    if (treatment === "subject") parts.push({ kind: "edit", edit: subjectEdit(options.subject, change) });
    const effect = effectOf(treatment, answer);
    return effect === undefined ? parts : [...parts, effect];
  };
}

function tag(spamHeader: string, change: Change): ReturnType<typeof setHeader> {
  const wanted = change.answer.milter?.spam_header ?? "Yes";
  if (typeof wanted === "string") return setHeader(spamHeader, wanted, change);
  return Object.entries(wanted).flatMap(([name, value]) => setHeader(name, value, change));
}

interface Checked {
  readonly answer: RspamdAnswer;
  /** The message's body as rspamd wants it. */
  readonly body: Blob | undefined;
}

async function check(client: Client, headers: ReturnType<typeof requestHeaders>, ask: ScanAsk): Promise<Checked> {
  let spool: Spool | undefined;
  const { status, statusText, octets, hasBody } = await client.post("/checkv2", headers, ask.message.raw, ask.signal, {
    onStart: () => {
      // Of a server that broke off there may be one already.
      void spool?.dispose();
      spool = undefined;
    },
    onBody: (piece) => {
      spool ??= ask.openSpool();
      return spool.write(piece);
    },
  });
  if (status !== 200)
    throw new ScannerFailure(
      status === 413 ? "tooLarge" : "error",
      `rspamd: ${status} ${statusText} ${errorIn(octets)}`,
    );
  let answer: RspamdAnswer;
  try {
    answer = readAnswer(octets);
  } catch (error) {
    throw new ScannerFailure("error", `rspamd's answer is not understood: ${String(error)}`, { cause: error });
  }
  if (!hasBody || spool === undefined) return { answer, body: undefined };
  const body = await spool.end();
  if (body === undefined) throw new ScannerFailure("tooLarge", "rspamd's new body is larger than a message may be");
  return { answer, body };
}

export function errorIn(octets: Buffer): string {
  return octets.toString("latin1", 0, 200);
}
