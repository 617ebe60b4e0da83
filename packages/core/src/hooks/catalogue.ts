/** The catalogue: every hook of a generation, and the faces of it that plugins see. */
import type { Guard } from "../guard/guard.ts";
import type { Owner } from "../guard/owner.ts";
import { createDeclare } from "./declare.ts";
import type { HookDeclaration, HookPoint, HostHook, TapInfo, TapOptions } from "./kinds.ts";
import {
  createDeliveryHooks,
  createLifecycleHooks,
  createQuarantineHooks,
  createQueueHooks,
  createTableHooks,
} from "./queue-hooks.ts";
import { createSmtpHooks } from "./smtp-hooks.ts";

export function createHooks(guard: Guard) {
  const declare = createDeclare(guard);
  return Object.freeze({
    smtp: createSmtpHooks(declare),
    quarantine: createQuarantineHooks(declare),
    queue: createQueueHooks(declare),
    delivery: createDeliveryHooks(declare),
    table: createTableHooks(declare),
    lifecycle: createLifecycleHooks(declare),
    /** All of them, in the order of a message's way. */
    all: declare.all,
    reports: declare.reports,
  });
}

export type Hooks = ReturnType<typeof createHooks>;

type Groups = Omit<Hooks, "all" | "reports">;
type CallOf<H> = H extends { tap(owner: Owner, options: TapOptions, call: infer Call): void } ? Call : never;

/** The hooks as one plugin sees them: it can tap, not call, and each tap carries its name. */
export type PluginHooks = {
  readonly [Group in keyof Groups]: {
    readonly [Name in keyof Groups[Group]]: CallOf<Groups[Group][Name]> extends infer Call
      ? Call extends (...args: never[]) => unknown
        ? HookPoint<Call>
        : never
      : never;
  };
};

export function hooksFor(hooks: Hooks, owner: Owner, assertOpen: () => void): PluginHooks {
  const { all: _, reports: __, ...groups } = hooks;
  const faces = Object.entries(groups).map(([group, members]) => [
    group,
    Object.freeze(
      Object.fromEntries(Object.entries(members).map(([name, hook]) => [name, face(hook, owner, assertOpen)])),
    ),
  ]);
  return Object.freeze(Object.fromEntries(faces)) as PluginHooks;
}

type AnyCall = (...args: never[]) => unknown;

function face(hook: HostHook<never>, owner: Owner, assertOpen: () => void): HookPoint<AnyCall> {
  const { name, kind, args, doc } = hook;
  return Object.freeze({
    name,
    kind,
    args,
    doc,
    tap(first: TapOptions | AnyCall, second?: AnyCall): void {
      assertOpen();
      const [options, call] = typeof first === "function" ? [{}, first] : [first, second];
      hook.tap(owner, options, call as never);
    },
  });
}

export interface HookListing extends HookDeclaration {
  readonly taps: readonly TapInfo[];
}

/** For `postern hooks`: each point with who taps it, in order. */
export function listHooks(hooks: Hooks): readonly HookListing[] {
  return hooks.all.map(({ name, kind, args, doc, taps }) => ({ name, kind, args, doc, taps }));
}
