/** A message that a command writes in place of ours, taken in as it comes, as the edits that make it. */
import { ScannerFailure, type Edit, type ScanAnswer, type ScanAsk, type Spool } from "@postern/core";

const longestHeader = 1024 * 1024;

interface Field {
  readonly name: string;
  /** Behind the colon, with its folding. */
  readonly value: Buffer;
}

export class NewMessage {
  readonly #ask: Pick<ScanAsk, "message" | "openSpool">;
  #head: Buffer = Buffer.alloc(0);
  #fields: readonly Field[] | undefined;
  #body: Spool | undefined;

  constructor(ask: Pick<ScanAsk, "message" | "openSpool">) {
    this.#ask = ask;
  }

  /** Rejects with `ScannerFailure` for a header that is none, and for too much. */
  async write(octets: Buffer): Promise<void> {
    if (this.#body !== undefined) return keep(this.#body, octets);
    this.#head = Buffer.concat([this.#head, octets]);
    const end = endOfHeader(this.#head);
    if (end === undefined) {
      if (this.#head.length > longestHeader) throw unfit("its header has no end");
      return;
    }
    const body = this.#begin(end.header);
    const rest = this.#head.subarray(end.body);
    this.#head = Buffer.alloc(0);
    if (rest.length > 0) await keep(body, rest);
  }

  /** Only what differs is edited. */
  async end(): Promise<ScanAnswer> {
    const spool = this.#body ?? this.#begin(this.#head.length);
    const fields = this.#fields ?? [];
    if (fields.length === 0) throw unfit("it has no header");
    const body = await spool.end();
    if (body === undefined) throw tooLarge();
    const edits: Edit[] = [];
    const before = [...this.#ask.message.headers];
    const same =
      before.length === fields.length &&
      fields.every(({ name, value }, at) => {
        const field = before[at];
        return field !== undefined && field.name === name && field.raw.subarray(name.length + 1).equals(value);
      });
    if (!same) {
      const names = new Set(before.map(({ name }) => name.toLowerCase()).filter((name) => name !== ""));
      for (const name of names) edits.push({ kind: "deleteHeader", name });
      for (const { name, value } of fields) edits.push({ kind: "appendHeader", name, value: withoutEnd(value) });
    }
    edits.push({ kind: "replaceBody", body });
    return edits.map((edit) => ({ kind: "edit", edit }));
  }

  #begin(header: number): Spool {
    this.#fields = parseFields(this.#head.toString("latin1", 0, header));
    this.#body = this.#ask.openSpool();
    return this.#body;
  }
}

/** Whoever writes without end is not listened to until the time limit. */
async function keep(body: Spool, octets: Buffer): Promise<void> {
  if (await body.write(octets)) return;
  await body.end(); // says so when the disk is to blame
  throw tooLarge();
}

const tooLarge = (): ScannerFailure => new ScannerFailure("tooLarge", "what the command wrote is too large");

function unfit(why: string): ScannerFailure {
  return new ScannerFailure("invalid", `what the command wrote is no message: ${why}`);
}

/** Where the header ends and the body begins; lines end as the command likes. */
function endOfHeader(octets: Buffer): { readonly header: number; readonly body: number } | undefined {
  const found = /\r?\n\r?\n/.exec(octets.toString("latin1"));
  if (found === null) return undefined;
  const body = found.index + found[0].length;
  return { header: found.index, body };
}

function parseFields(header: string): Field[] {
  const fields: { name: string; value: string }[] = [];
  for (const line of header.split("\n").map((text) => text.replace(/\r$/, ""))) {
    if (line === "") continue;
    const last = fields.at(-1);
    if (/^[ \t]/.test(line) && last !== undefined) {
      last.value += `\r\n${line}`;
      continue;
    }
    const [, name, value] = /^([!-9;-~]{1,76})[ \t]*:(.*)$/s.exec(line) ?? [];
    if (name === undefined || value === undefined) throw unfit(`a header line that is none`);
    fields.push({ name, value });
  }
  return fields.map(({ name, value }) => ({ name, value: Buffer.from(`${value}\r\n`, "latin1") }));
}

function withoutEnd(value: Buffer): Buffer {
  return value.subarray(0, -2);
}
