/** All cases, in the order in which they run. */
import type { FigureCase } from "../lib/figure-case.ts";
import { delegationCase } from "./delegation.ts";
import { greylistCase } from "./greylist.ts";
import { relayCase } from "./relay.ts";

export const cases: readonly FigureCase[] = [relayCase, delegationCase, greylistCase];
