/** What goes to a milter: packets gathered until one of them is answered, over the line of the session, if there is one. */
import type { MaybePromise } from "@postern/core";
import type { Line } from "./milter.ts";
import { down, invalid } from "./trouble.ts";

/** Packets that wait for company before they are written. */
const mostGathered = 16 * 1024;
/** Of a line that was kept: what can be said once more when the milter had closed it. */
const mostRepeated = 64 * 1024;

export class Outbox {
  #line: Line | undefined;
  #gathered: Uint8Array[] = [];
  #gatheredOctets = 0;
  /** What was written over a kept line, until the milter has answered. */
  #unanswered: Uint8Array[] | undefined;
  #unansweredOctets = 0;

  get line(): Line | undefined {
    return this.#line;
  }

  /** A line on which nothing came that nobody asked for. Throws `ScannerFailure`. */
  get lineInStep(): Line {
    const line = this.#line;
    if (line === undefined) throw down("the connection was closed");
    if (line.connection.usable && !line.connection.isInStep) throw invalid("it spoke out of turn");
    return line;
  }

  open(line: Line): void {
    this.#line = line;
    this.#unanswered = line.isUsed ? [] : undefined;
    this.#unansweredOctets = 0;
  }

  /** The line and what was to go over it; neither is here any more. */
  close(): { readonly line: Line | undefined; readonly unsent: Uint8Array[] } {
    const closed = { line: this.#line, unsent: this.#gathered };
    this.#line = undefined;
    this.#gathered = [];
    this.#gatheredOctets = 0;
    return closed;
  }

  gather(...packets: readonly Uint8Array[]): void {
    for (const packet of packets) {
      this.#gathered.push(packet);
      this.#gatheredOctets += packet.length;
    }
    if (this.#gatheredOctets > mostGathered) this.flush();
  }

  flush(): void {
    if (this.#gathered.length === 0 || this.#line === undefined) return;
    this.#unansweredOctets += this.#gatheredOctets;
    if (this.#unansweredOctets > mostRepeated) this.#unanswered = undefined;
    else this.#unanswered?.push(...this.#gathered);
    this.#line.connection.write(this.#gathered);
    this.#gathered = [];
    this.#gatheredOctets = 0;
  }

  /** Waits while too much is unsent. Rejects with `ScannerFailure`. */
  pressure(timeoutMs: number): MaybePromise<void> {
    return this.lineInStep.connection.pressure(timeoutMs);
  }

  /** The milter has answered. */
  heard(): void {
    this.#unanswered = undefined;
  }

  /** The line is gone. What was said over it waits for the next one; false: it cannot be said again. */
  repeat(): boolean {
    const again = this.#unanswered;
    this.#unanswered = undefined;
    if (again === undefined) return false;
    this.#line = undefined;
    this.#gathered = [];
    this.#gatheredOctets = 0;
    this.gather(...again);
    return true;
  }
}
