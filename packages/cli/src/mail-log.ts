/**
 * The mail log on standard error, one line an event, as a supervisor expects it. A write costs more than what is in it: the lines of
 * one turn of the event loop leave together. A warning leaves at once, with what came before it, and nothing is left at the end
 * of the process, however it ends itself.
 */
import type { LogLevel } from "@postern/core";

export interface MailLog {
  readonly add: (level: LogLevel, line: string) => void;
  /** Writes what there is and gathers no more: whatever comes later is written at once. */
  close(): void;
}

/** More than this does not wait for the end of the turn. */
const mostGathered = 64 * 1024;

export function createMailLog(json: boolean, write: (text: string) => void): MailLog {
  let gathered = "";
  let scheduled = false;
  let closed = false;

  function flush(): void {
    if (gathered === "") return;
    const text = gathered;
    gathered = "";
    write(text);
  }

  function turn(): void {
    scheduled = false;
    flush();
  }

  process.on("exit", flush);
  return {
    add(level, line) {
      gathered += json ? `${JSON.stringify({ level, line })}\n` : level === "warn" ? `warning: ${line}\n` : `${line}\n`;
      if (closed || level === "warn" || gathered.length > mostGathered) return flush();
      if (scheduled) return;
      scheduled = true;
      setImmediate(turn);
    },
    close() {
      closed = true;
      flush();
      process.off("exit", flush);
    },
  };
}
