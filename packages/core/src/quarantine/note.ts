/** What is written down of a message when it is put aside, so that a search need not read contents. */
import { type Blob, decodeWords, openMessage } from "../message/index.ts";
import { after, logText, type MaybePromise, type QuarantineNote } from "../model/index.ts";

const longestFrom = 320;
const longestSubject = 300;
/** Of a field, before it is decoded. */
const longestRaw = 2000;

/** Rejects as the blob's `read` does. */
export function describeContent(content: Blob, reason: string): MaybePromise<QuarantineNote> {
  return after(openMessage(content), ({ headers }) => {
    const shown = (name: string, longest: number): string =>
      logText(decodeWords((headers.get(name)?.value ?? "").slice(0, longestRaw)), longest);
    return { reason: logText(reason), from: shown("from", longestFrom), subject: shown("subject", longestSubject) };
  });
}
