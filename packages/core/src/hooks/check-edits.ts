/** A modifier's raw answer, checked: what is no edit is the plugin's failure, not a message left as it was. */
import { InvalidAnswer } from "../guard/guard.ts";
import type { Blob } from "../message/blob.ts";
import type { Edit, HeaderValue } from "../message/message.ts";

const mostEdits = 10_000;

/** Throws `InvalidAnswer`. Each edit is made anew, so that a plugin's own object never travels on. */
export function checkEdits(answer: unknown): readonly Edit[] {
  if (!Array.isArray(answer)) throw new InvalidAnswer("answer is neither undefined nor a list of edits");
  if (answer.length > mostEdits) throw new InvalidAnswer(`more than ${mostEdits} edits in one answer`);
  return (answer as readonly unknown[]).map(checkEdit);
}

function checkEdit(edit: unknown): Edit {
  if (typeof edit !== "object" || edit === null) throw new InvalidAnswer("an edit is an object");
  const given = edit as Readonly<Record<string, unknown>>;
  const text = (key: string): string => {
    const value = given[key];
    if (typeof value !== "string") throw new InvalidAnswer(`edit ${kind} needs a text "${key}"`);
    return value;
  };
  const value = (): HeaderValue => {
    const octets = given["value"];
    return octets instanceof Uint8Array ? octets : text("value");
  };
  const nth = (): { readonly nth?: number } => {
    const count = given["nth"];
    if (count === undefined) return {};
    if (!Number.isSafeInteger(count) || (count as number) < 1)
      throw new InvalidAnswer(`"nth" of ${kind} counts from 1`);
    return { nth: count as number };
  };
  const offset = (key: string): number => {
    const count = given[key];
    if (!Number.isSafeInteger(count) || (count as number) < 0)
      throw new InvalidAnswer(`"${key}" of ${kind} counts from 0`);
    return count as number;
  };
  const kind = String(given["kind"]) as Edit["kind"];
  switch (kind) {
    case "prependHeader":
    case "appendHeader":
      return { kind, name: text("name"), value: value() };
    case "replaceHeader":
      return { kind, name: text("name"), ...nth(), value: value() };
    case "deleteHeader":
      return { kind, name: text("name"), ...nth() };
    case "insertHeader":
      return { kind, index: offset("index"), name: text("name"), value: value() };
    case "replaceBody": {
      const { body } = given;
      if (!(body instanceof Uint8Array) && !isBlob(body)) {
        throw new InvalidAnswer('edit replaceBody needs octets or a blob "body"');
      }
      return { kind, body };
    }
    case "spliceBody": {
      const { octets } = given;
      if (!(octets instanceof Uint8Array)) throw new InvalidAnswer('edit spliceBody needs "octets"');
      return { kind, start: offset("start"), end: offset("end"), octets };
    }
    case "addRecipient":
    case "removeRecipient":
    case "changeSender":
      return { kind, address: text("address") };
    default:
      throw new InvalidAnswer(`no edit of kind ${JSON.stringify(kind).slice(0, 40)}`);
  }
}

function isBlob(value: unknown): value is Blob {
  const { sizeBytes, read, slice } = (value ?? {}) as Partial<Blob>;
  return typeof sizeBytes === "number" && typeof read === "function" && typeof slice === "function";
}
