/** How a hook is declared: once, with its kind, argument names, types and documentation. */
import { checkObjection, objectionFor, type Guard, type Failed } from "../guard/index.ts";
import { InvalidAnswer } from "../guard/guard.ts";
import type { Edit, Message } from "../message/message.ts";
import type { Objection, Route } from "../model/index.ts";
import { PosternError } from "../errors.ts";
import { FirstHook, PipeHook, ReportHook, type HostHook, type PipeValue } from "./kinds.ts";

/** Ends a pipe: the failed tap's `onError` objects. */
export class PipeObjection extends PosternError {
  readonly objection: Objection;
  constructor(failed: Failed, objection: Objection) {
    super("PLUGIN_FAILED", `plugin ${failed.owner.name} failed in ${failed.point}`, { cause: failed.error });
    this.objection = objection;
  }
}

/** A message on its way through the modifiers: the content so far and the edits that made it. */
export interface EditChain {
  readonly message: Message;
  readonly edits: readonly Edit[];
}

/** Makes the next state from a tap's edits; throws `InvalidAnswer` for what is no edit. */
export type ApplyEdits = (edited: EditChain, edits: readonly Edit[]) => EditChain;

export interface Declare {
  decision<Args extends unknown[]>(name: string, args: readonly string[], doc: string): FirstHook<Args, Objection>;
  edits<Args extends unknown[]>(
    name: string,
    args: readonly string[],
    doc: string,
  ): PipeHook<EditChain, Message, Args, readonly Edit[]>;
  route<Args extends unknown[]>(
    name: string,
    args: readonly string[],
    doc: string,
  ): PipeHook<Route, Route, Args, Route>;
  report<Args extends unknown[]>(name: string, args: readonly string[], doc: string): ReportHook<Args>;
  /** All that was declared, in order. */
  readonly all: readonly HostHook<never>[];
}

export function createDeclare(guard: Guard, applyEdits: ApplyEdits): Declare {
  const all: HostHook<never>[] = [];
  const add = <H extends HostHook<never>>(hook: H): H => {
    all.push(hook);
    return hook;
  };
  return {
    all,
    decision: (name, args, doc) => add(new FirstHook(guard, name, args, doc, checkObjection, objectionFor)),
    edits: (name, args, doc) =>
      add(
        new PipeHook(
          guard,
          name,
          args,
          doc,
          { show: ({ message }: EditChain) => message, apply: applyEdits },
          endUnlessSkipped,
        ),
      ),
    route: (name, args, doc) => add(new PipeHook(guard, name, args, doc, routeValue, endUnlessSkipped)),
    report: (name, args, doc) => add(new ReportHook(guard, name, args, doc)),
  };
}

function endUnlessSkipped<Value>(failed: Failed, value: Value): Value {
  const objection = objectionFor(failed);
  if (objection === undefined) return value;
  throw new PipeObjection(failed, objection);
}

const routeValue: PipeValue<Route, Route, Route> = {
  show: (route) => route,
  /** Made anew: a plugin's own object never travels on. The address class is a fact about the recipient and stays. */
  apply(route, change) {
    const { transport, nextHop }: Partial<Route> = change;
    if (typeof transport !== "string" || typeof nextHop !== "string") {
      throw new InvalidAnswer("a route needs the names of a transport and a next-hop");
    }
    return Object.freeze({ class: route.class, transport, nextHop });
  },
};
