/**
 * The life of a generation's plugins: set up in the order of the config, ready in that order, closed in reverse. Each step
 * has a deadline, and who throws or hangs is named. What was begun is ended when a later one fails.
 */
import { PluginError, PosternError } from "../errors.ts";
import { Failed, type Guard } from "../guard/guard.ts";
import type { MaybePromise } from "../model/maybe-promise.ts";
import { createGateway, type GatewayHandle, type GatewayParts } from "./create-gateway.ts";
import type { PluginInstance } from "./host.ts";

export interface PluginSet {
  readonly instances: readonly PluginInstance[];
  /** Opens what `setup` asked for and calls `onReady`. Throws `PluginError`; the caller then closes. */
  ready(): Promise<void>;
  /** Calls `onClose` and closes transports, in reverse order; a failure is reported and stops nothing. Once. */
  close(): Promise<void>;
}

export interface SetUpOptions {
  readonly guard: Guard;
  /** For each of setup, ready and close of each plugin. */
  readonly deadlineMs?: number;
}

interface Begun {
  readonly instance: PluginInstance;
  readonly handle: GatewayHandle;
}

/** Throws `PluginError` naming the plugin, after closing those before it. */
export async function setUpPlugins(
  instances: readonly PluginInstance[],
  parts: GatewayParts,
  { guard, deadlineMs = 30_000 }: SetUpOptions,
): Promise<PluginSet> {
  const begun: Begun[] = [];
  let closed = false;

  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    for (const { instance, handle } of begun.toReversed()) {
      for (const call of handle.closeCalls.toReversed()) await step(instance, "close", call);
      for (const [, { owner, value }] of [...parts.registrations.transports].toReversed()) {
        if (owner === instance.owner) await step(instance, "close", () => value.close());
      }
    }
    // After all of them: any of them may have used it until now.
    for (const [, { owner, value }] of parts.registrations.stateStores) {
      const brought = begun.find(({ instance }) => instance.owner === owner);
      if (brought !== undefined) await step(brought.instance, "close", () => value.close());
    }
  }

  /** `undefined` when it went well. */
  async function step(
    instance: PluginInstance,
    point: string,
    call: () => MaybePromise<void>,
  ): Promise<Failed | undefined> {
    // The deadline's timer keeps no process alive, and a plugin that waits for nothing would end it unnoticed.
    const alive = setInterval(() => undefined, 1000);
    try {
      const answer = await guard.run({ ...instance.owner, deadlineMs }, point, () => undefined, call);
      return answer instanceof Failed ? answer : undefined;
    } finally {
      clearInterval(alive);
    }
  }

  try {
    for (const instance of instances) {
      checkRequirements(instance, instances, parts);
      const handle = createGateway(instance, parts);
      begun.push({ instance, handle });
      const { definition, options } = instance;
      const failed = await step(instance, "setup", () => definition.setup(handle.gateway, options));
      handle.seal();
      if (failed !== undefined) throw faultOf(instance, failed);
    }
  } catch (error) {
    await close();
    throw error;
  }

  return {
    instances,
    close,
    async ready() {
      for (const { handle } of begun) handle.openSpaces();
      for (const { instance, handle } of begun) {
        await handle.openTables();
        for (const call of handle.readyCalls) {
          const failed = await step(instance, "ready", call);
          if (failed !== undefined) throw faultOf(instance, failed);
        }
      }
    },
  };
}

/** A plugin's own clear sentence is kept; anything else is put into one. */
function faultOf({ name }: PluginInstance, { point, reason, error }: Failed): PluginError {
  if (error instanceof PluginError) return error;
  if (reason === "timeout") return new PluginError(name, `${point} did not end in time`, { cause: error });
  const said = error instanceof Error ? error.message : String(error);
  const sentence = error instanceof PosternError ? said : `${point} threw: ${said}`;
  return new PluginError(name, sentence, { cause: error });
}

function checkRequirements(instance: PluginInstance, all: readonly PluginInstance[], parts: GatewayParts): void {
  const before = all.slice(0, all.indexOf(instance));
  const isNamed = (wanted: string) => (other: PluginInstance) =>
    other.name === wanted || other.definition.name === wanted;
  for (const wanted of instance.definition.requires ?? []) {
    if (before.some(isNamed(wanted)) || parts.registrations.services.get(wanted) !== undefined) continue;
    const advice = all.some(isNamed(wanted)) ? "put it before this one" : `it is not in "plugins"`;
    throw new PluginError(instance.name, `requires "${wanted}"; ${advice}`);
  }
}
