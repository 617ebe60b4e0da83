/**
 * How fast the greylist decides with two million triplets in its store, what is written included, and for how long a turn of the event loop
 * lasts at most while it does, and while all of them expire.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Ask } from "@postern/core";
import { createMemoryStateStore, openSqliteStateStore } from "../../packages/core/src/state/index.ts";
import { createGreylist } from "../../packages/plugin-greylist/src/greylist.ts";
import { options } from "../../packages/plugin-greylist/src/options.ts";
import { temporaryFolder } from "../../test/services/folder.ts";
import type { CaseOptions, Figure, FigureCase } from "../lib/figure-case.ts";

const minute = 60_000;
/** Decisions between two turns: what one packet of many sessions brings. */
const together = 50;

/** The nth stranger: sender, recipient and a client network, with what repeats in real mail. */
function askOf(number: number): Ask {
  const address = `${1 + (number % 199)}.${(number * 31) % 251}.${(number * 17) % 241}.9`;
  const recipient = `user${number % 5000}@example.test`;
  const client = { address, port: 25, name: undefined, inNetworks: false };
  return {
    stage: "rcpt",
    session: { client, auth: undefined } as unknown as Ask["session"],
    transaction: { sender: `sender${number}@example${number % 1000}.net` } as NonNullable<Ask["transaction"]>,
    recipient: { address: recipient, original: recipient },
    dry: false,
  };
}

type Stranger = readonly [number: number, expected: string | undefined];

function* some(first: number, count: number, expected: string | undefined): Generator<Stranger> {
  for (let at = first; at < first + count; at += 1) yield [at, expected];
}

/** Of ten, four are new, one of them comes again too early, one comes back in time, and four are known. */
function* streamOf(from: {
  readonly waiting: number;
  readonly known: number;
  readonly fresh: number;
  readonly count: number;
}): Generator<Stranger> {
  for (let tenth = 0; tenth < from.count / 10; tenth += 1) {
    const fresh = from.fresh + 4 * tenth;
    yield* some(fresh, 4, "deferIfPermit");
    yield [fresh, "deferIfPermit"];
    yield* some(from.known + 4 * tenth, 4, undefined);
    yield [from.waiting + tenth, "prepend"];
  }
}

async function measure(store: "sqlite" | "memory", scale: number): Promise<readonly Figure[]> {
  using folder = temporaryFolder();
  let now = Date.now();
  const clock = { now: () => now, monotonic: () => now, setTimer: () => ({ cancel: () => undefined }) };
  const state =
    store === "memory"
      ? createMemoryStateStore({ clock })
      : openSqliteStateStore({ directory: join(folder.path, "state"), clock });
  const bounds = { maxEntries: 10_000_000, lazy: true };
  const judge = createGreylist({
    spaces: {
      waiting: state.space<number>("greylist/waiting", bounds),
      known: state.space<number>("greylist/known", bounds),
      networks: state.space<number>("greylist/networks", bounds),
    },
    // Each network brings as much as it likes, and none is ever let in as a whole: every decision is a triplet's.
    options: options.parse({ maxNewPerNetwork: 1_000_000_000, autoWhitelistAfter: 1_000_000_000 }),
    clock,
    hostname: "mx.example.test",
    isExempt: () => false,
  });
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  const figures: Figure[] = [];

  /** Decisions a second about these strangers; the kinds of the answers are checked. */
  async function decide(strangers: Iterable<Stranger>): Promise<number> {
    const from = performance.now();
    let count = 0;
    for (const [number, expected] of strangers) {
      const answer = judge(askOf(number)) as { readonly kind: string } | undefined;
      if (answer?.kind !== expected) throw new Error(`stranger ${number} heard ${answer?.kind}`);
      count += 1;
      if (count % together === 0) await nextTurn();
    }
    return count / ((performance.now() - from) / 1000);
  }
  async function report(what: string, strangers: Iterable<Stranger>): Promise<void> {
    delays.reset();
    const rate = await decide(strangers);
    figures.push({ what: `${store}, ${what}`, value: rate, unit: "/s", goal: { least: 20_000 } });
    figures.push({ what: `${store}, ${what}, longest turn`, value: delays.max / 1e6, unit: "ms" });
  }

  const stored = 2_000_000 * scale;
  const count = 200_000 * scale;
  await decide(some(0, stored, "deferIfPermit"));
  await report("nothing but new triplets", some(stored, count, "deferIfPermit"));
  now += minute;
  await report("nothing but waiting, too early", some(stored, count, "deferIfPermit"));
  now += 5 * minute;
  await report("nothing but waiting, come back", some(stored, count, "prepend"));
  await report("nothing but known", some(stored, count, undefined));
  await report("a stream of mail", streamOf({ waiting: 0, known: stored, fresh: stored + count, count }));
  now += 3 * 24 * 60 * minute;
  // What waits to be written is not what is measured here.
  await nextTurn();
  delays.reset();
  const from = performance.now();
  const removed = await state.sweep();
  figures.push({ what: `${store}, ${removed} triplets expire`, value: (performance.now() - from) / 1000, unit: "s" });
  figures.push({ what: `${store}, expiry, longest turn`, value: delays.max / 1e6, unit: "ms" });
  delays.disable();
  await state.close();
  return figures;
}

export const greylistCase: FigureCase = {
  name: "greylist",
  what: "decisions of the greylist with two million triplets in its store",
  needs: [],
  async measure({ quick }: CaseOptions): Promise<readonly Figure[]> {
    const scale = quick ? 0.05 : 1;
    return [...(await measure("memory", scale)), ...(await measure("sqlite", scale))];
  },
};
