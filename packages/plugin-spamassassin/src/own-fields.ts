/** Our own `X-Spam-*` fields, where SpamAssassin is asked for the score alone. They read like its own. */
import type { Edit, Message } from "@postern/core";
import type { Verdict } from "./conversation.ts";

const longestLevel = 50;
const line = 70;

export function ownEdits(
  { headers }: Pick<Message, "headers">,
  verdict: Verdict,
  tests: readonly string[],
  subject: string | undefined,
  unwanted: (name: string) => boolean,
): Edit[] {
  const edits: Edit[] = [];
  const names = new Set(
    [...headers].map(({ name }) => name.toLowerCase()).filter((name) => name !== "" && unwanted(name)),
  );
  // What we write ourselves is there once, whoever sent the message.
  const fields: readonly (readonly [name: string, value: string])[] = [
    ...(verdict.spam ? [["X-Spam-Flag", "YES"] as const] : []),
    ["X-Spam-Level", "*".repeat(Math.max(0, Math.min(longestLevel, Math.floor(verdict.score))))],
    ["X-Spam-Status", statusOf(verdict, tests)],
  ];
  for (const name of ["X-Spam-Flag", "X-Spam-Level", "X-Spam-Status"])
    if (headers.has(name)) names.add(name.toLowerCase());
  for (const name of names) edits.push({ kind: "deleteHeader", name });
  for (const [name, value] of fields.toReversed())
    edits.push({ kind: "prependHeader", name, value: Buffer.from(value) });
  if (verdict.spam && subject !== undefined) edits.push(subjectEdit(headers.get("Subject")?.raw, subject));
  return edits;
}

/** `Yes, score=51.9 required=5.0 tests=A,B`, folded behind commas. */
function statusOf({ spam, score, required }: Verdict, tests: readonly string[]): string {
  const first = `${spam ? "Yes" : "No"}, score=${score.toFixed(1)} required=${required.toFixed(1)}`;
  let text = first;
  let column = "X-Spam-Status: ".length + first.length;
  (tests.length === 0 ? ["none"] : tests).forEach((name, at, all) => {
    const word = `${at === 0 ? " tests=" : ""}${name}${at < all.length - 1 ? "," : ""}`;
    if (column + word.length > line) {
      text += `\r\n\t${word.trimStart()}`;
      column = 8 + word.length;
    } else {
      text += word;
      column += word.length;
    }
  });
  return text;
}

function subjectEdit(raw: Buffer | undefined, template: string): Edit {
  const text = raw?.toString("latin1") ?? ":";
  const there = text.slice(text.indexOf(":") + 1).trim();
  const at = template.indexOf("%s");
  const [front, behind] = at < 0 ? [template, ""] : [template.slice(0, at), template.slice(at + 2)];
  const value = Buffer.concat([Buffer.from(front), Buffer.from(at < 0 ? "" : there, "latin1"), Buffer.from(behind)]);
  return raw === undefined
    ? { kind: "appendHeader", name: "Subject", value }
    : { kind: "replaceHeader", name: "Subject", nth: 1, value };
}
