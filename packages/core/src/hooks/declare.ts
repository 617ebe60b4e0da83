/** How a hook is declared: once, with its kind, argument names, types and documentation. */
import { checkObjection, objectionFor, type Guard, type Failed } from "../guard/index.ts";
import { InvalidAnswer } from "../guard/guard.ts";
import { applyEdits, type Edit, type Edited, type Message } from "../message/index.ts";
import { after, type Objection, type Route } from "../model/index.ts";
import { PosternError } from "../errors.ts";
import { checkEdits } from "./check-edits.ts";
import { FirstHook, PipeHook, ReportHook, type HostHook, type PipeValue } from "./kinds.ts";

/** Ends a pipe: the failed tap's `onError` objects. */
export class PipeObjection extends PosternError {
  readonly objection: Objection;
  constructor(failed: Failed, objection: Objection) {
    super("PLUGIN_FAILED", `plugin ${failed.owner.name} failed in ${failed.point}`, { cause: failed.error });
    this.objection = objection;
  }
}

/** The address class is a fact about the recipient and stays. */
type RouteChange = Pick<Route, "transport" | "nextHop">;

export interface Declare {
  decision<Args extends unknown[]>(name: string, args: readonly string[], doc: string): FirstHook<Args, Objection>;
  /** Milliseconds to wait; bounded. A failed tap waits for nothing. */
  wait<Args extends unknown[]>(name: string, args: readonly string[], doc: string): FirstHook<Args, number>;
  /** Told one after the other and waited for; no answer and no failure changes anything. */
  notice<Args extends unknown[]>(name: string, args: readonly string[], doc: string): FirstHook<Args, void>;
  edits<Args extends unknown[]>(
    name: string,
    args: readonly string[],
    doc: string,
  ): PipeHook<Edited, Message, Args, readonly Edit[]>;
  route<Args extends unknown[]>(
    name: string,
    args: readonly string[],
    doc: string,
  ): PipeHook<Route, Route, Args, Route, RouteChange>;
  report<Args extends unknown[]>(name: string, args: readonly string[], doc: string): ReportHook<Args>;
  /** All that was declared, in order. */
  readonly all: readonly HostHook<never>[];
  /** Those of kind `report`, to be drained at the end. */
  readonly reports: readonly ReportHook<never>[];
}

export function createDeclare(guard: Guard): Declare {
  const all: HostHook<never>[] = [];
  const reports: ReportHook<never>[] = [];
  const add = <H extends HostHook<never>>(hook: H): H => {
    all.push(hook);
    return hook;
  };
  return {
    all,
    reports,
    decision: (name, args, doc) => add(new FirstHook(guard, name, args, doc, checkObjection, objectionFor)),
    wait: (name, args, doc) => add(new FirstHook(guard, name, args, doc, checkWait, () => undefined)),
    notice: (name, args, doc) => add(new FirstHook(guard, name, args, doc, dropAnswer, dropAnswer)),
    edits: (name, args, doc) => add(new PipeHook(guard, name, args, doc, editedValue, endUnlessSkipped)),
    route: (name, args, doc) => add(new PipeHook(guard, name, args, doc, routeValue, endUnlessSkipped)),
    report<Args extends unknown[]>(name: string, args: readonly string[], doc: string) {
      const hook = add(new ReportHook<Args>(guard, name, args, doc));
      reports.push(hook);
      return hook;
    },
  };
}

const dropAnswer = (): undefined => undefined;

const longestWaitMs = 60_000;

function checkWait(answer: unknown): number | undefined {
  if (answer === undefined) return undefined;
  if (typeof answer !== "number" || !(answer >= 0)) throw new InvalidAnswer("a wait is a number of milliseconds");
  return Math.min(answer, longestWaitMs);
}

function endUnlessSkipped<Value>(failed: Failed, value: Value): Value {
  const objection = objectionFor(failed);
  if (objection === undefined) return value;
  throw new PipeObjection(failed, objection);
}

/** Each tap sees the message so far; edits of the envelope are gathered for whoever owns it. */
const editedValue: PipeValue<Edited, Message, readonly Edit[]> = {
  show: ({ message }) => message,
  check: checkEdits,
  apply: (edited, edits) =>
    after(applyEdits(edited.message, edits), ({ message, envelope }) => ({
      message,
      envelope: [...edited.envelope, ...envelope],
    })),
};

const routeValue: PipeValue<Route, Route, Route, RouteChange> = {
  show: (route) => route,
  /** Made anew: a plugin's own object never travels on. */
  check(change) {
    const { transport, nextHop } = change as Partial<Route>;
    if (typeof transport !== "string" || typeof nextHop !== "string") {
      throw new InvalidAnswer("a route needs the names of a transport and a next-hop");
    }
    return { transport, nextHop };
  },
  apply: (route, { transport, nextHop }) => Object.freeze({ class: route.class, transport, nextHop }),
};
