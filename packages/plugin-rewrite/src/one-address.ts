/** One address in the place of one (cleanup_map11), and of that one again, until it stays. */
import { foldKey, isPromise, TableUnavailable, type MaybePromise } from "@postern/core";
import type { AddressTables, TraceAt } from "./address-tables.ts";

/** Postfix's MAX_RECURSION. */
const mostTimes = 10;

/** Again and again; an address that becomes itself is done. Throws `TableUnavailable` also for one that never is. */
export function replaceUntilSettled(tables: AddressTables, address: string, at: TraceAt): MaybePromise<string> {
  let known = address;
  for (let times = 0; times < mostTimes; times++) {
    const answer = tables.replace(known, at);
    if (isPromise(answer)) return settleLate(tables, known, answer, mostTimes - times, at);
    const next = answer?.[0];
    if (next === undefined || foldKey(next) === foldKey(known)) return next ?? known;
    known = next;
  }
  throw unreasonable(tables, address);
}

async function settleLate(
  tables: AddressTables,
  address: string,
  first: Promise<readonly string[] | undefined>,
  timesLeft: number,
  at: TraceAt,
): Promise<string> {
  let known = address;
  let answer = await first;
  for (let left = timesLeft; left > 0; left--) {
    const next = answer?.[0];
    if (next === undefined || foldKey(next) === foldKey(known)) return next ?? known;
    known = next;
    if (left > 1) answer = await tables.replace(known, at);
  }
  throw unreasonable(tables, address);
}

function unreasonable({ name }: AddressTables, address: string): TableUnavailable {
  return new TableUnavailable(`${name} tables`, `nested too deep: ${address.slice(0, 300)}`);
}
