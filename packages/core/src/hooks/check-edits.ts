/** A modifier's raw answer, checked: what is no edit is the plugin's failure, not a message left as it was. */
import { canonicalAddress } from "../address/mailbox.ts";
import { InvalidAnswer } from "../guard/guard.ts";
import { toSoundBlob, type Blob, type Edit, type HeaderValue } from "../message/index.ts";

const mostEdits = 10_000;

/** Throws `InvalidAnswer`. Each edit is made anew, so that a plugin's own object never travels on. */
export function checkEdits(answer: unknown): readonly Edit[] {
  if (!Array.isArray(answer)) throw new InvalidAnswer("answer is neither undefined nor a list of edits");
  if (answer.length > mostEdits) throw new InvalidAnswer(`more than ${mostEdits} edits in one answer`);
  const edits = Array.from(answer as readonly unknown[], checkEdit);
  checkSplices(edits);
  return edits;
}

/** All are of the body as the modifier saw it: two opinions about one octet cannot both be meant. */
function checkSplices(edits: readonly Edit[]): void {
  const splices = edits.filter((edit) => edit.kind === "spliceBody");
  if (splices.length === 0) return;
  if (edits.some(({ kind }) => kind === "replaceBody")) {
    throw new InvalidAnswer("an answer replaces the body or splices it, not both");
  }
  const ordered = splices.toSorted((a, b) => a.start - b.start || a.end - b.end);
  ordered.forEach(({ start }, at) => {
    if (start < (ordered[at - 1]?.end ?? 0)) throw new InvalidAnswer("splices of the body overlap");
  });
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
    return octets instanceof Uint8Array ? new Uint8Array(octets) : text("value");
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
      const sound = toSoundBlob(body);
      if (sound === undefined) {
        throw new InvalidAnswer("the blob of replaceBody is neither in memory nor of a spool that was opened for it");
      }
      return { kind, body: sound };
    }
    case "spliceBody": {
      const { octets } = given;
      if (!(octets instanceof Uint8Array)) throw new InvalidAnswer('edit spliceBody needs "octets"');
      const [start, end] = [offset("start"), offset("end")];
      if (end < start) throw new InvalidAnswer("a splice of the body ends before it starts");
      // A copy: the plugin may go on writing to its array.
      return { kind, start, end, octets: new Uint8Array(octets) };
    }
    case "addRecipient":
    case "removeRecipient":
    case "changeSender":
      return { kind, address: checkAddress(kind, text("address")) };
    default:
      throw new InvalidAnswer(`no edit of kind ${JSON.stringify(kind).slice(0, 40)}`);
  }
}

/** With brackets or without. The null reverse-path is a sender, too; what is no address may be a recipient's all the same, and be removed. */
function checkAddress(kind: Edit["kind"], text: string): string {
  const bare = text.trim().replace(/^<(.*)>$/s, "$1");
  if (bare === "" && kind === "changeSender") return "";
  const address =
    canonicalAddress(bare, { smtputf8: true }) ?? (kind === "removeRecipient" && bare !== "" ? bare : undefined);
  if (address === undefined) throw new InvalidAnswer(`the address of ${kind} is none`);
  return address;
}

function isBlob(value: unknown): value is Blob {
  const { sizeBytes, read, slice } = (value ?? {}) as Partial<Blob>;
  return typeof sizeBytes === "number" && typeof read === "function" && typeof slice === "function";
}
