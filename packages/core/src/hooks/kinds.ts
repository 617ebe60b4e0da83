/**
 * The kinds of hook, over tapable. tapable keeps the taps: registration and ordering by stage. Its generated callers are not
 * used: they cannot stay synchronous until the first promise, have no deadlines, lose the owner of an error, and bail on
 * `null`. Plugins see only `HookPoint`, which can be tapped but not called.
 */
import { SyncHook } from "tapable";
import { factsOf, Failed, type FailureFacts, type Guard } from "../guard/guard.ts";
import type { Owner } from "../guard/owner.ts";
import { after, isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import { createReportQueue, type ReportQueue } from "./report-queue.ts";

/** Where a tap stands in its hook; taps of one place keep the order of the config. */
export const places = Object.freeze(["observe", "authenticate", "restrict", "inspect", "modify", "sign"] as const);
export type Place = (typeof places)[number];

export type HookKind = "first" | "pipe" | "report";

/** What a hook is, for `postern hooks` and the reference page. */
export interface HookDeclaration {
  readonly name: string;
  readonly kind: HookKind;
  readonly args: readonly string[];
  readonly doc: string;
}

export interface TapOptions {
  /** Where it stands; "inspect" unless said otherwise. */
  readonly place?: Place;
  /** How long it may take, when it knows better than its plugin's `deadline`: a plugin that bounds its own waiting by its own options. */
  readonly deadlineMs?: number;
}

export interface TapInfo {
  readonly owner: string;
  readonly place: Place;
}

/** A hook as a plugin sees it. */
export interface HookPoint<Call extends (...args: never[]) => unknown> extends HookDeclaration {
  tap(call: Call): void;
  tap(options: TapOptions, call: Call): void;
}

/** A hook as the host sees it: whoever taps is known by name. */
export interface HostHook<Call extends (...args: never[]) => unknown> extends HookDeclaration {
  /** False until somebody taps: the one branch that an untapped hook costs. */
  readonly tapped: boolean;
  readonly taps: readonly TapInfo[];
  tap(owner: Owner, options: TapOptions, call: Call): void;
}

interface OwnedTap {
  readonly owner: Owner;
  readonly place: Place;
  readonly call: (...args: readonly unknown[]) => unknown;
}

/** Everything the kinds share: tapable's registry and the list of taps in its order. */
abstract class BaseHook<Call extends (...args: never[]) => unknown> implements HostHook<Call> {
  readonly name: string;
  abstract readonly kind: HookKind;
  readonly args: readonly string[];
  readonly doc: string;
  protected readonly guard: Guard;
  /** In calling order. */
  protected ordered: readonly OwnedTap[] = [];
  readonly #registry = new SyncHook<[OwnedTap], OwnedTap>(["tap"]);

  constructor(guard: Guard, name: string, args: readonly string[], doc: string) {
    this.guard = guard;
    this.name = name;
    this.args = args;
    this.doc = doc;
  }

  get tapped(): boolean {
    return this.ordered.length > 0;
  }

  get taps(): readonly TapInfo[] {
    return this.ordered.map(({ owner, place }) => ({ owner: owner.name, place }));
  }

  tap(owner: Owner, options: TapOptions | undefined, call: Call): void {
    const place = options?.place ?? "inspect";
    const stage = places.indexOf(place);
    if (stage < 0)
      throw new TypeError(`hook ${this.name}: no place "${String(place)}"; places are ${places.join(", ")}`);
    if (typeof call !== "function") throw new TypeError(`hook ${this.name}: a tap is a function`);
    const deadlineMs = options?.deadlineMs ?? owner.deadlineMs;
    if (!(deadlineMs > 0 && Number.isFinite(deadlineMs)))
      throw new TypeError(`hook ${this.name}: a tap's deadlineMs is a positive number`);
    const patient = deadlineMs === owner.deadlineMs ? owner : Object.freeze({ ...owner, deadlineMs });
    const tap: OwnedTap = { owner: patient, place, call: call as unknown as OwnedTap["call"] };
    this.#registry.tap({ name: owner.name, stage }, () => tap);
    this.ordered = this.#registry.taps.map(({ fn }) => (fn as () => OwnedTap)());
  }
}

/**
 * A decision: taps are asked in order and the first answer ends it; `undefined` is no opinion. A failed tap answers with its
 * owner's `onError` by way of `onFailed`.
 */
export class FirstHook<Args extends unknown[], Answer> extends BaseHook<
  (...args: Args) => MaybePromise<Answer | undefined>
> {
  readonly kind = "first";
  readonly #check: (answer: unknown) => Answer | undefined;
  readonly #onFailed: (failed: Failed) => Answer | undefined;

  constructor(
    guard: Guard,
    name: string,
    args: readonly string[],
    doc: string,
    check: (answer: unknown) => Answer | undefined,
    onFailed: (failed: Failed) => Answer | undefined,
  ) {
    super(guard, name, args, doc);
    this.#check = check;
    this.#onFailed = onFailed;
  }

  call(...args: Args): MaybePromise<Answer | undefined> {
    return this.#from(0, args);
  }

  #from(start: number, args: Args): MaybePromise<Answer | undefined> {
    const taps = this.ordered;
    for (let index = start; index < taps.length; index += 1) {
      const { owner, call } = taps[index] as OwnedTap;
      const answer = this.guard.run(owner, this.name, this.#check, call, ...args);
      if (isPromise(answer)) {
        return answer.then((late) => {
          const decided = late instanceof Failed ? ownCopy(this.#onFailed(late)) : late;
          return decided === undefined ? this.#from(index + 1, args) : this.#own(decided, owner, late);
        });
      }
      const decided = answer instanceof Failed ? ownCopy(this.#onFailed(answer)) : answer;
      if (decided !== undefined) return this.#own(decided, owner, answer);
    }
    return undefined;
  }

  #own(decided: Answer, { name: plugin }: Owner, answer: unknown): Answer {
    if (typeof decided !== "object" || decided === null) return decided;
    const failure = answer instanceof Failed ? { failure: factsOf(answer) } : undefined;
    deciders.set(decided, { hook: this.name, plugin, ...failure });
    return decided;
  }
}

export interface HookDecider {
  readonly hook: string;
  readonly plugin: string;
  /** It gave no answer, for this reason: its plugin's `onError` decided. */
  readonly failure?: FailureFacts;
}

const deciders = new WeakMap<object, HookDecider>();

/** Whose tap gave this very answer of a `first` hook, for the log; `undefined` when no hook did. */
export function deciderOf(answer: object): HookDecider | undefined {
  return deciders.get(answer);
}

/** What stands for all failures is one object, which belongs to nobody. */
function ownCopy<Answer>(answer: Answer): Answer {
  return typeof answer === "object" && answer !== null ? Object.freeze({ ...answer }) : answer;
}

/** What a pipe does about a tap that failed. */
export type PipeFailure<Value> = (failed: Failed, value: Value) => Value;

/** How a pipe's value is shown to a tap and made anew from a tap's change. */
export interface PipeValue<Value, Seen, Change, Checked = Change> {
  show(value: Value): Seen;
  /** Throws `InvalidAnswer` for what is no change. */
  check(change: unknown): Checked;
  /** Not the tap's work any more: a failure is the host's. */
  apply(value: Value, change: Checked): MaybePromise<Value>;
}

/**
 * A value passed on: each tap sees the result so far and returns a change, or `undefined` to leave it. A failed tap is
 * `onFailed`'s to answer, which may throw to end the pipe.
 */
export class PipeHook<Value, Seen, Args extends unknown[], Change, Checked = Change> extends BaseHook<
  (value: Seen, ...args: Args) => MaybePromise<Change | undefined>
> {
  readonly kind = "pipe";
  readonly #value: PipeValue<Value, Seen, Change, Checked>;
  readonly #onFailed: PipeFailure<Value>;

  constructor(
    guard: Guard,
    name: string,
    args: readonly string[],
    doc: string,
    value: PipeValue<Value, Seen, Change, Checked>,
    onFailed: PipeFailure<Value>,
  ) {
    super(guard, name, args, doc);
    this.#value = value;
    this.#onFailed = onFailed;
  }

  call(value: Value, ...args: Args): MaybePromise<Value> {
    return this.#from(0, value, args);
  }

  #from(start: number, first: Value, args: Args): MaybePromise<Value> {
    let value = first;
    const taps = this.ordered;
    for (let index = start; index < taps.length; index += 1) {
      const { owner, call } = taps[index] as OwnedTap;
      const change = this.guard.run(owner, this.name, this.#check, call, this.#value.show(value), ...args);
      const current = value;
      const next = after(change, (known) => this.#changed(current, known));
      if (isPromise(next)) return next.then((late) => this.#from(index + 1, late, args));
      value = next;
    }
    return value;
  }

  readonly #check = (change: unknown): Checked | undefined =>
    change === undefined ? undefined : this.#value.check(change);

  #changed(value: Value, change: Checked | undefined | Failed): MaybePromise<Value> {
    if (change === undefined) return value;
    return change instanceof Failed ? this.#onFailed(change, value) : this.#value.apply(value, change);
  }
}

/** Told and never waited for: taps run after the caller has gone on, from a bounded queue. What they answer is dropped. */
export class ReportHook<Args extends unknown[]> extends BaseHook<(...args: Args) => unknown> {
  readonly kind = "report";
  readonly #queue: ReportQueue<Args>;

  constructor(guard: Guard, name: string, args: readonly string[], doc: string) {
    super(guard, name, args, doc);
    this.#queue = createReportQueue<Args>((items) => this.#tell(items));
  }

  call(...args: Args): void {
    if (this.ordered.length > 0) this.#queue.push(args);
  }

  /** Reports that were dropped because taps were too slow. */
  get dropped(): number {
    return this.#queue.dropped;
  }

  /** Resolves when all that was reported so far has been told. */
  drained(): Promise<void> {
    return this.#queue.drained();
  }

  #tell(args: Args): MaybePromise<void> {
    let pending: Promise<unknown>[] | undefined;
    for (const { owner, call } of this.ordered) {
      const told = this.guard.run(owner, this.name, ignoreAnswer, call, ...args);
      if (isPromise(told)) (pending ??= []).push(told);
    }
    return pending === undefined ? undefined : Promise.all(pending).then(() => undefined);
  }
}

const ignoreAnswer = (): undefined => undefined;
