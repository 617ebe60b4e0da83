/** What the lines of one message come to: what ends it, what accumulates, what is changed (cleanup_act of cleanup(8)). */
import { logText, ScannerFailure, type Edit, type Effect, type Objection, type ScanPart } from "@postern/core";
import type { Action } from "./action.ts";

/** Told one by one; the rest are counted. */
const mostLogs = 15;
const mostCopies = 20;
const longestLine = 200;

export class Findings {
  objection: Objection | undefined;
  /** Nothing below is looked up any more. */
  over = false;
  #refused = "";
  #discard: Effect | undefined;
  #hold: Effect | undefined;
  #redirect: Effect | undefined;
  #filter: Effect | undefined;
  readonly #copies = new Set<string>();
  readonly #logs: string[] = [];
  #untold = 0;
  /** Of a line that a table found; `line` as the table was asked for it. What changes the line is the caller's to do. */
  take(action: Action, context: "header" | "body", line: string): void {
    switch (action.kind) {
      case "none":
        break;
      case "refuse":
        this.objection = action.objection;
        this.#refused = described("reject", context, line, "");
        this.over = true;
        break;
      case "pass":
        this.#tell("pass", context, line, action.text);
        this.over = true;
        break;
      case "discard":
        this.#discard = { kind: "discard", text: described("discard", context, line, action.text) };
        this.over = true;
        break;
      case "redirect":
        this.#redirect = { kind: "redirect", address: action.address };
        this.over = true;
        break;
      case "hold":
        this.#hold ??= { kind: "hold", text: described("hold", context, line, action.text) };
        break;
      case "filter":
        this.#filter = { kind: "filter", destination: action.destination };
        break;
      case "bcc":
        this.#copies.add(action.address);
        if (this.#copies.size > mostCopies) {
          throw new ScannerFailure("unscannable", `more than ${mostCopies} blind copies of one message`);
        }
        break;
      case "log":
        this.#tell(action.level, context, line, action.text);
        break;
      case "drop":
        if (action.told) this.#tell("strip", context, line, action.text);
        break;
      case "prepend":
      case "replace":
        this.#tell(action.kind, context, line, action.text);
        break;
    }
  }

  /** The answer; a discarded message is neither held nor sent anywhere. */
  parts(edits: readonly Edit[]): readonly ScanPart[] {
    if (this.objection !== undefined) return [{ kind: "log", text: this.#refused }, this.objection];
    const logs = this.#untold === 0 ? this.#logs : [...this.#logs, `info: ${this.#untold} more lines were found`];
    const told = logs.map((text): Effect => ({ kind: "log", text }));
    if (this.#discard !== undefined) return [...told, this.#discard];
    const effects = [this.#hold, this.#redirect, this.#filter].filter((effect) => effect !== undefined);
    const copies = Array.from(this.#copies, (address): Effect => ({ kind: "bcc", address }));
    const changes = edits.map((edit): ScanPart => ({ kind: "edit", edit }));
    return [...told, ...effects, ...copies, ...changes];
  }

  #tell(what: string, context: string, line: string, text: string): void {
    if (this.#logs.length < mostLogs) this.#logs.push(described(what, context, line, text));
    else this.#untold += 1;
  }
}

function described(what: string, context: string, line: string, text: string): string {
  const said = `${what}: ${context} ${logText(line, longestLine)}`;
  return text === "" ? said : `${said}: ${text}`;
}
