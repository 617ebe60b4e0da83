/** One address in the place of one (cleanup_map11), and of that one again, until it stays. */
import { foldKey, isPromise, type MaybePromise } from "@postern/core";
import type { AddressTables, TraceAt } from "./address-tables.ts";

/** Postfix's MAX_RECURSION. */
const mostTimes = 10;

/**
 * Again and again; an address that becomes itself is done, and one that never does goes on as it is after ten times, as in Postfix, with a
 * word to the operator.
 */
export function replaceUntilSettled(tables: AddressTables, address: string, at: TraceAt): MaybePromise<string> {
  let known = address;
  for (let times = 0; times < mostTimes; times++) {
    const answer = tables.replace(known, at);
    if (isPromise(answer)) return settleLate(tables, known, answer, mostTimes - times, at);
    const next = answer?.[0];
    if (next === undefined || foldKey(next) === foldKey(known)) return next ?? known;
    known = next;
  }
  tables.neverSettled(address);
  return known;
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
  tables.neverSettled(address);
  return known;
}
