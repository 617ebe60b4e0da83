/** Which messages of the quarantine: options of its commands, and the query that they make. */
import { parseDuration, type QuarantineQuery } from "@postern/core";
import { InvalidArgumentError, type Command } from "commander";

export interface FilterOptions {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly reason?: string | undefined;
  readonly subject?: string | undefined;
  readonly since?: When | undefined;
  readonly until?: When | undefined;
}

/** A time, or so long ago: milliseconds. */
export type When = { readonly at: number } | { readonly ago: number };

const mostListed = 100_000;

/** All but the one whose name means something else there. */
export function addFilters(command: Command, taken?: "to"): Command {
  command.option("--from <text>", "with this in the envelope's sender or in From", notEmpty);
  if (taken === undefined) command.option("--to <text>", "with this in a recipient's address", notEmpty);
  return command
    .option("--reason <text>", "with this in the reason", notEmpty)
    .option("--subject <text>", "with this in the subject", notEmpty)
    .option("--since <time>", `put aside then or later: "2h" ago, or 2026-11-23T10:00 (UTC)`, readTime)
    .option("--until <time>", "put aside before that", readTime);
}

export function isFiltered({ from, to, reason, subject, since, until }: FilterOptions): boolean {
  return [from, to, reason, subject, since, until].some((given) => given !== undefined);
}

export function queryOf({ from, to, reason, subject, since, until }: FilterOptions, now: number): QuarantineQuery {
  return {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(reason !== undefined && { reason }),
    ...(subject !== undefined && { subject }),
    ...(since !== undefined && { since: timeOf(since, now) }),
    ...(until !== undefined && { until: timeOf(until, now) }),
  };
}

export function readCount(value: string): number {
  const limit = Number(value);
  if (!Number.isInteger(limit) || limit < 1 || limit > mostListed)
    throw new InvalidArgumentError(`It is a number from 1 to ${mostListed}.`);
  return limit;
}

function timeOf(when: When, now: number): number {
  return "at" in when ? when.at : now - when.ago;
}

const isoTime = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(Z|[+-]\d{2}:\d{2})?)?$/;

function readTime(value: string): When {
  const iso = isoTime.exec(value);
  if (iso !== null) {
    const text = value.length === 10 ? value : `${value.replace(" ", "T")}${iso[1] === undefined ? "Z" : ""}`;
    const at = Date.parse(text);
    if (!Number.isNaN(at)) return { at };
  }
  const ago = parseDuration(value);
  if (ago === undefined)
    throw new InvalidArgumentError(`It is a time such as 2026-11-23T10:00, or a duration such as 2h.`);
  return { ago };
}

function notEmpty(value: string): string {
  if (value === "" || value.length > 1000) throw new InvalidArgumentError("It is a text of 1 to 1000 characters.");
  return value;
}
