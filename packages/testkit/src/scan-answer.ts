/** What a scanner said, held to the contract, as one line. */
import {
  checkAnswer,
  checkFinding,
  InvalidAnswer,
  type Edit,
  type RecipientAnswer,
  type ScanAnswer,
  type ScanPart,
} from "@postern/core";
import { formatAnswer } from "./cases.ts";

/** Throws `InvalidAnswer` for what the gateway would not take. */
export function readScanAnswer(answer: unknown, recipientCount: number): string {
  checkFinding(answer, recipientCount);
  return formatScanAnswer(answer as ScanAnswer);
}

/**
 * As `formatAnswer`, and edits by their kind (`replaceHeader Subject: [spam] hello`, `spliceBody 0-12 5 octets`) and answers by recipient
 * (`recipients none, reject 550 5.7.1 no`). Several parts are joined by `; `.
 */
export function formatScanAnswer(answer: ScanAnswer): string {
  if (answer === undefined) return "none";
  const parts: readonly ScanPart[] = Array.isArray(answer) ? (answer as readonly ScanPart[]) : [answer as ScanPart];
  return parts.length === 0 ? "none" : parts.map(formatPart).join("; ");
}

function formatPart(part: ScanPart): string {
  if (part.kind === "edit") return formatEdit(part.edit);
  if (part.kind !== "perRecipient") return formatAnswer(checkAnswer(part));
  return `recipients ${part.answers.map((given: RecipientAnswer) => formatAnswer(checkAnswer(given))).join(", ")}`;
}

function formatEdit(edit: Edit): string {
  switch (edit.kind) {
    case "prependHeader":
    case "appendHeader":
      return `${edit.kind} ${edit.name}: ${textOf(edit.value)}`;
    case "replaceHeader":
      return `replaceHeader ${named(edit)}: ${textOf(edit.value)}`;
    case "deleteHeader":
      return `deleteHeader ${named(edit)}`;
    case "insertHeader":
      return `insertHeader ${edit.index} ${edit.name}: ${textOf(edit.value)}`;
    case "replaceBody":
      return `replaceBody ${edit.body instanceof Uint8Array ? edit.body.length : edit.body.sizeBytes} octets`;
    case "spliceBody":
      return `spliceBody ${edit.start}-${edit.end} ${edit.octets.length} octets`;
    case "addRecipient":
    case "removeRecipient":
    case "changeSender":
      return `${edit.kind} ${edit.address}`;
    default:
      throw new InvalidAnswer("an edit of unknown kind");
  }
}

const named = ({ name, nth }: { readonly name: string; readonly nth?: number }): string =>
  nth === undefined ? name : `${name}#${nth}`;

const textOf = (value: string | Uint8Array): string =>
  typeof value === "string" ? value : Buffer.from(value).toString("latin1");
