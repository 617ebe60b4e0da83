/** A list of the policy language in a plugin's hand: named in setup, compiled before ready, asked by the plugin itself. */
import { PluginError } from "../errors.ts";
import type { ListCompiler } from "../policy/compile.ts";
import type { Judge, PolicyEntry, Stage } from "../policy/restriction.ts";
import type { UsedList } from "./gateway.ts";

export interface ListHandle {
  readonly used: UsedList;
  /** Throws `ConfigError`. */
  compile(compiler: ListCompiler): Promise<void>;
}

export function createListHandle(plugin: string, entries: readonly PolicyEntry[], path: string): ListHandle {
  let judges: Readonly<Record<Stage, Judge>> | undefined;
  return {
    used: Object.freeze({
      judge(ask: Parameters<Judge>[0]) {
        if (judges === undefined) throw new PluginError(plugin, `${path} cannot be asked before ready`);
        return judges[ask.stage](ask);
      },
    }),
    async compile(compiler) {
      judges = await compiler.compileForAllStages(entries, path);
    },
  };
}
