/** Goes through a message as Postfix's cleanup(8) does and asks the tables about each line. */
import { setImmediate as turn } from "node:timers/promises";
import {
  isPromise,
  ScannerFailure,
  type Edit,
  type MaybePromise,
  type Message,
  type ScanAnswer,
  type ScanAsk,
} from "@postern/core";
import { headerForm, type Action } from "./action.ts";
import { BodyLines, isMimeField, type BodyLine } from "./body-lines.ts";
import type { CheckTables } from "./check-tables.ts";
import { Findings } from "./findings.ts";
import { fieldText, lineText, textOctets, type LineText } from "./key.ts";
import { SpliceList } from "./splice-list.ts";

export interface CheckSet {
  readonly header: CheckTables;
  readonly mime: CheckTables;
  readonly nested: CheckTables;
  readonly body: CheckTables;
  /** Octets of each part; 0 for all. */
  readonly bodySizeLimit: number;
}

/** What core takes in one answer. */
const mostEdits = 10_000;

export function createChecks(set: CheckSet): (ask: Pick<ScanAsk, "message" | "signal">) => MaybePromise<ScanAnswer> {
  return ({ message, signal }) => new Check(set, message, signal).run();
}

interface HeaderLine {
  readonly name: string;
  readonly raw: Buffer;
  readonly index: number;
  /** Of its name, 1 first. */
  readonly nth: number;
}

class Check {
  readonly #set: CheckSet;
  readonly #message: Message;
  readonly #signal: AbortSignal;
  readonly #findings = new Findings();
  readonly #splices = new SpliceList();
  /** Of the header, as they are found: from the top. */
  readonly #headerEdits: Edit[][] = [];

  constructor(set: CheckSet, message: Message, signal: AbortSignal) {
    this.#set = set;
    this.#message = message;
    this.#signal = signal;
  }

  run(): MaybePromise<ScanAnswer> {
    const lines = headerLines(this.#message);
    const found = this.#header(lines, 0);
    return isPromise(found) ? found.then(() => this.#rest()) : this.#rest();
  }

  /** Without a promise as long as the tables have none. */
  #header(lines: readonly HeaderLine[], start: number): MaybePromise<void> {
    for (let at = start; at < lines.length && !this.#findings.over; at += 1) {
      const line = lines[at] as HeaderLine;
      const tables = isMimeField(line.name) ? this.#set.mime : this.#set.header;
      if (tables.empty) continue;
      const given = fieldText(line.raw);
      const action = tables.ask(given.text);
      if (isPromise(action)) {
        return action.then((late) => {
          this.#onField(late, line, given);
          return this.#header(lines, at + 1);
        });
      }
      this.#onField(action, line, given);
    }
  }

  #rest(): MaybePromise<ScanAnswer> {
    const { mime, nested, body, bodySizeLimit } = this.#set;
    if (this.#findings.over || (mime.empty && nested.empty && body.empty)) return this.#answer();
    const lines = new BodyLines(this.#message.headers, { lines: !body.empty, sizeLimit: bodySizeLimit });
    return lines.idle ? this.#answer() : this.#body(lines);
  }

  async #body(lines: BodyLines): Promise<ScanAnswer> {
    let sinceTurn = 0;
    for await (const piece of this.#message.body.read()) {
      for (let at = 0; at < piece.length; at += turnBytes) {
        if (this.#findings.over || lines.idle) return this.#answer();
        if (sinceTurn >= turnBytes) {
          sinceTurn = 0;
          await turn();
          if (this.#signal.aborted) throw new ScannerFailure("timeout", "called off");
        }
        const part = piece.subarray(at, at + turnBytes);
        sinceTurn += part.length;
        await this.#piece(lines, part, false);
      }
    }
    if (!this.#findings.over) await this.#piece(lines, Buffer.alloc(0), true);
    return this.#answer();
  }

  async #piece(lines: BodyLines, piece: Buffer, final: boolean): Promise<void> {
    for (const line of lines.push(piece, final)) {
      const tables = line.place === undefined ? this.#set.body : this.#set[line.place];
      if (tables.empty) continue;
      const given = line.kind === "field" ? fieldText(line.octets) : lineText(withoutLineEnd(line));
      const asked = tables.ask(given.text);
      const action = isPromise(asked) ? await asked : asked;
      if (action === undefined) continue;
      this.#findings.take(action, line.kind === "field" ? "header" : "body", given.text);
      this.#change(action, line, given);
      if (this.#findings.over) return;
    }
  }

  /** A line of the body: splices, each of whole lines or pieces of one. */
  #change(action: Action, { start, end, goesOn }: BodyLine, { latin1 }: LineText): void {
    const lineEnd = goesOn ? "" : "\r\n";
    const octets = (text: string, ended: string): Buffer =>
      Buffer.concat([textOctets(text, latin1), Buffer.from(ended)]);
    if (action.kind === "drop") this.#splices.add(start, end, Buffer.alloc(0));
    else if (action.kind === "replace") {
      this.#splices.add(start, end, octets(action.text, lineEnd));
    } else if (action.kind === "prepend") {
      this.#splices.add(start, start, octets(action.text, "\r\n"));
    }
  }

  #onField(action: Action | undefined, { name, index, nth }: HeaderLine, { text, latin1 }: LineText): void {
    if (action === undefined) return;
    this.#findings.take(action, "header", text);
    if (action.kind === "drop") this.#headerEdits.push([{ kind: "deleteHeader", name, nth }]);
    else if (action.kind === "prepend" || action.kind === "replace") {
      const [, newName = "", value = ""] = headerForm.exec(action.text) ?? [];
      const field = { name: newName, value: textOctets(value, latin1) };
      if (action.kind === "prepend") this.#headerEdits.push([{ kind: "insertHeader", index, ...field }]);
      else if (newName.toLowerCase() === name.toLowerCase()) {
        this.#headerEdits.push([{ kind: "replaceHeader", nth, ...field }]);
      } else {
        const gone: Edit = { kind: "deleteHeader", name, nth };
        this.#headerEdits.push([{ kind: "insertHeader", index, ...field }, gone]);
      }
    }
  }

  #answer(): MaybePromise<ScanAnswer> {
    const findings = this.#findings;
    const merged = this.#splices.splices(this.#message.body);
    const finish = (body: readonly Edit[]): ScanAnswer => {
      // From the bottom to the top: what is done below changes no index and no count above.
      const edits = [...this.#headerEdits.toReversed().flat(), ...body];
      if (edits.length > mostEdits) {
        throw new ScannerFailure("unscannable", `more than ${mostEdits} changes of one message`);
      }
      return findings.parts(edits);
    };
    return isPromise(merged) ? merged.then(finish) : finish(merged);
  }
}

/** Octets of body lines before others have their turn. */
const turnBytes = 64 * 1024;

/** The fields, not the lines in the header that are none. */
function headerLines({ headers }: Message): readonly HeaderLine[] {
  const counts = new Map<string, number>();
  const lines: HeaderLine[] = [];
  let index = 0;
  for (const { name, raw } of headers) {
    if (name !== "") {
      const lowerName = name.toLowerCase();
      const nth = (counts.get(lowerName) ?? 0) + 1;
      counts.set(lowerName, nth);
      lines.push({ name, raw, index, nth });
    }
    index += 1;
  }
  return lines;
}

function withoutLineEnd({ octets, goesOn }: BodyLine): Buffer {
  const ended = !goesOn && octets.length >= 2 && octets.at(-1) === 0x0a && octets.at(-2) === 0x0d;
  return ended ? octets.subarray(0, -2) : octets;
}
