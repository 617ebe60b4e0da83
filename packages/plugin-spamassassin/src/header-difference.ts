/**
 * SpamAssassin's header section beside the one that it was given, as edits. It takes fields out, changes some and puts its own on top; whatever it did, the edits make
 * the one section from the other.
 */
import {
  createMemoryBlob,
  createMessage,
  ScannerFailure,
  type Edit,
  type HeaderField,
  type HeaderList,
} from "@postern/core";

/** Octets of a header section with its blank line, as fields. */
export function readFields(section: Buffer): HeaderList {
  return createMessage(createMemoryBlob([section]), { maxHeaderBytes: section.length + 1 }).headers;
}

/**
 * The same without the first field that reads like `trace`, which stood above the message for SpamAssassin alone; `undefined` when it is not there.
 */
export function withoutTrace(fields: HeaderList, trace: Buffer): readonly HeaderField[] | undefined {
  const all = [...fields];
  const text = trace.toString("latin1").trimEnd();
  const at = all.findIndex((field) => textOf(field) === text);
  return at < 0 ? undefined : all.toSpliced(at, 1);
}

/**
 * `unwanted`: fields that go even though SpamAssassin left them. In order, each edit on what the earlier ones left. Throws `ScannerFailure` for a section
 * that fields cannot make.
 */
export function headerEdits(
  sent: Iterable<HeaderField>,
  returned: Iterable<HeaderField>,
  unwanted: (name: string) => boolean = () => false,
): Edit[] {
  const before = [...sent];
  const after = [...returned];
  const places = new Map<string, number[]>();
  before.forEach((field, at) => {
    const text = textOf(field);
    const same = places.get(text);
    if (same === undefined) places.set(text, [at]);
    else same.push(at);
  });
  for (const same of places.values()) same.reverse(); // so that the first is popped first

  const edits = new Writer();
  let from = 0;
  for (const field of after) {
    const same = places.get(textOf(field));
    while (same !== undefined && (same.at(-1) ?? from) < from) same.pop();
    const at = same?.pop();
    if (at === undefined) {
      edits.insert(field);
      continue;
    }
    for (; from < at; from += 1) edits.remove(before[from]);
    if (unwanted(field.name)) edits.remove(field);
    else edits.keep(field);
    from = at + 1;
  }
  for (; from < before.length; from += 1) edits.remove(before[from]);
  return edits.finish();
}

/** Walks down the section: above `#at` everything is as it shall be. */
class Writer {
  readonly #edits: Edit[] = [];
  /** How many of a name stand above `#at`. */
  readonly #above = new Map<string, number>();
  #at = 0;
  /** An inserted field that the next removal may turn into a replacement. */
  #last: { readonly name: string; readonly value: Buffer; readonly nth: number } | undefined;

  keep({ name }: HeaderField): void {
    this.#last = undefined;
    this.#pass(name);
  }

  insert(field: HeaderField): void {
    const { name } = field;
    mustBeField(field);
    const value = valueOf(field);
    this.#edits.push({ kind: "insertHeader", index: this.#at, name, value });
    this.#pass(name);
    this.#last = { name, value, nth: this.#above.get(name.toLowerCase()) ?? 1 };
  }

  remove(field: HeaderField | undefined): void {
    if (field === undefined) return;
    const { name } = field;
    mustBeField(field);
    if (this.#last?.name.toLowerCase() === name.toLowerCase()) {
      const { name: written, value, nth } = this.#last;
      this.#edits.pop();
      this.#edits.push({ kind: "replaceHeader", name: written, nth, value });
      this.#last = undefined;
    } else {
      this.#last = undefined;
      this.#edits.push({ kind: "deleteHeader", name, nth: (this.#above.get(name.toLowerCase()) ?? 0) + 1 });
    }
  }

  finish(): Edit[] {
    return this.#edits;
  }

  #pass(name: string): void {
    this.#at += 1;
    const key = name.toLowerCase();
    this.#above.set(key, (this.#above.get(key) ?? 0) + 1);
  }
}

/** A line that is no field can stay where it is, and no more. */
function mustBeField(field: HeaderField): void {
  if (field.name === "")
    throw new ScannerFailure("error", `SpamAssassin moved ${JSON.stringify(textOf(field).slice(0, 100))}`);
}

/** With its folds; the last line end may differ. */
function textOf({ raw }: HeaderField): string {
  return raw.toString("latin1").replace(/\r?\n$/, "");
}

/** Everything behind the colon. */
function valueOf(field: HeaderField): Buffer {
  const text = textOf(field);
  return Buffer.from(text.slice(text.indexOf(":") + 1), "latin1");
}
