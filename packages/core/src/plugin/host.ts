/** Loads the plugins of a config: found, imported, their options checked. Nothing of them runs yet but their modules. */
import { defaultDeadlineMs, type OnError, type Owner } from "../guard/owner.ts";
import { explainIssues } from "../config/explain.ts";
import { ConfigProblems, formatPath, type Problem } from "../config/problem.ts";
import { optionsPlaceOf, placeOf, type PluginEntry } from "../config/resolve.ts";
import { currentUser, type TrustScope } from "../config/trust.ts";
import { ConfigError } from "../errors.ts";
import type { PluginDefinition } from "./definition.ts";
import { hostKeys, hostOptions, splitOptions } from "./entry.ts";
import { importPlugin } from "./import.ts";
import { isPath, resolvePlugin } from "./resolve.ts";

/** A plugin in a config, with its options checked. */
export interface PluginInstance {
  /** `as`, else the definition's name; unique. */
  readonly name: string;
  readonly definition: PluginDefinition;
  /** As the plugin's schema gave them. */
  readonly options: unknown;
  /** For its words and taps. */
  readonly owner: Owner;
  /** As the entry said; `undefined` when it said nothing. */
  readonly onError: OnError | undefined;
  readonly deadlineMs: number | undefined;
  /** As in the config, and the file it led to. */
  readonly specifier: string;
  readonly file: string;
}

export interface PluginHostOptions {
  /** For messages. */
  readonly file: string;
  /** The config's folder, absolute. */
  readonly directory: string;
  /** More folders from which packages resolve, when the config's own has none: the command's installation. */
  readonly searchFrom?: readonly string[];
  readonly trust?: TrustScope;
}

export interface PluginHost {
  /** In the order of the config. Throws `ConfigProblems` with every mistake of every entry. */
  load(entries: readonly PluginEntry[]): Promise<readonly PluginInstance[]>;
}

export function createPluginHost(options: PluginHostOptions): PluginHost {
  const { file, directory, searchFrom = [], trust = currentUser() } = options;

  async function loadEntry(entry: PluginEntry): Promise<PluginInstance> {
    const at = placeOf(entry);
    const path = formatPath(at);
    try {
      const found = resolvePlugin(entry.specifier, [directory, ...searchFrom]);
      const definition = await importPlugin(found, isPath(entry.specifier), trust);
      return await checkOptions(entry, definition, found);
    } catch (error) {
      if (error instanceof ConfigProblems || !(error instanceof ConfigError)) throw error;
      throw new ConfigProblems([{ file, path, message: `${path}: ${error.message}` }], { cause: error });
    }
  }

  async function checkOptions(
    entry: PluginEntry,
    definition: PluginDefinition,
    found: string,
  ): Promise<PluginInstance> {
    const at = optionsPlaceOf(entry);
    const { host, own } = splitOptions(entry.options, definition.options);
    const known = hostOptions.safeParse(host);
    const parsed = await definition.options.safeParseAsync(own);
    if (!known.success || !parsed.success) {
      const { isolation } = host;
      throw new ConfigProblems([
        ...(typeof isolation === "string" && isolation !== "inline" ? [unavailable(at, isolation)] : []),
        ...explainIssues(
          (known.error?.issues ?? []).filter(({ path }) => !(path[0] === "isolation" && typeof isolation === "string")),
          {
            file,
            at,
            schema: hostOptions,
            value: host,
          },
        ),
        ...explainIssues(parsed.error?.issues ?? [], {
          file,
          at,
          schema: definition.options,
          value: own,
          moreKeys: hostKeys,
        }),
      ]);
    }
    const name = known.data.as ?? definition.name;
    const { onError, deadline: deadlineMs } = known.data;
    return Object.freeze({
      name,
      definition,
      options: parsed.data,
      owner: Object.freeze({ name, onError: onError ?? "defer", deadlineMs: deadlineMs ?? defaultDeadlineMs }),
      onError,
      deadlineMs,
      specifier: entry.specifier,
      file: found,
    });
  }

  function unavailable(at: readonly PropertyKey[], isolation: string): Problem {
    const path = formatPath([...at, "isolation"]);
    return { file, path, message: `${path}: "${isolation}" is not available in this version of Postern` };
  }

  return {
    async load(entries) {
      const instances: PluginInstance[] = [];
      const problems: Problem[] = [];
      const names = new Map<string, PluginEntry>();
      // One after another: what a module does when it is imported happens in the order of the config.
      for (const entry of entries) {
        try {
          const instance = await loadEntry(entry);
          const other = names.get(instance.name);
          if (other === undefined) {
            names.set(instance.name, entry);
            instances.push(instance);
            continue;
          }
          const path = formatPath(placeOf(entry));
          const message = `${path}: "${instance.name}" is the name of ${formatPath(placeOf(other))} already; give one of them another with "as"`;
          problems.push({ file, path, message });
        } catch (error) {
          if (!(error instanceof ConfigProblems)) throw error;
          problems.push(...error.problems);
        }
      }
      if (problems.length > 0) throw new ConfigProblems(problems);
      return instances;
    },
  };
}
