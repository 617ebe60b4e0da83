/** Why a request got no answer. For the log alone: the table turns it into `TableUnavailable`. */
import { TableUnavailable } from "@postern/core";

/**
 * refused: no connection came about; lost: it was closed before the answer was whole; late: no answer in time;
 * rubbish: an answer that the protocol does not know; denied: the server says that it cannot answer; busy: too many are waiting; closed: the table's generation has ended.
 */
export type ExchangeTrouble = "refused" | "lost" | "late" | "rubbish" | "denied" | "busy" | "closed";

export interface ExchangeErrorOptions {
  readonly cause?: unknown;
  /** The server lives and speaks its protocol; what it has for this key cannot be used. */
  readonly onlyThisKey?: boolean;
}

export class ExchangeError extends Error {
  readonly trouble: ExchangeTrouble;
  readonly onlyThisKey: boolean;

  constructor(trouble: ExchangeTrouble, message: string, options: ExchangeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ExchangeError";
    this.trouble = trouble;
    this.onlyThisKey = options.onlyThisKey === true;
  }
}

/** What a server sent, cut and made harmless for the log. */
export function printable(text: string | Buffer): string {
  const short = typeof text === "string" ? text.slice(0, 200) : text.subarray(0, 200).toString("latin1");
  return short.replace(/[^ -~]/g, "?").slice(0, 100);
}

export function toUnavailable(label: string, error: unknown): TableUnavailable {
  if (error instanceof TableUnavailable) return error;
  const message = error instanceof Error ? error.message : "no answer";
  const onlyThisKey = error instanceof ExchangeError && error.onlyThisKey;
  return new TableUnavailable(label, message, { cause: error, onlyThisKey });
}
