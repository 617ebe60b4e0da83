/** `domain`, `result_format` and `expansion_limit`: which keys a database is asked for, and what its values become. */
import { TableUnavailable } from "../../errors.ts";
import type { MaybePromise } from "../../model/maybe-promise.ts";
import type { TableScope } from "../table.ts";
import { openDomainList } from "./domain-list.ts";
import type { DatabaseParameters } from "./parameters.ts";
import { parseResultTemplate } from "./template.ts";

/** Octets of one key's whole answer from a database, far more than any list of addresses: what is longer could not be asked. */
export const longestAnswer = 4 * 1024 * 1024;

export interface AnswerRules {
  /** False: this key is not found, without asking. Rejects with `TableUnavailable` when a table of `domain` could not be asked. */
  asks(key: string): MaybePromise<boolean>;
  /**
   * The values by `result_format`, joined by commas; `undefined` = not found. Throws `TableUnavailable` for this key alone when they
   * are more than `expansion_limit`.
   */
  format(values: readonly string[], key: string): string | undefined;
}

export async function readAnswerRules(parameters: DatabaseParameters, scope: TableScope): Promise<AnswerRules> {
  const { label } = parameters;
  if (parameters.isEmpty("result_format")) throw parameters.mistake("result_format", "it may not be empty");
  const result = parseResultTemplate(parameters.text("result_format", "%s"), label);
  const limit = parameters.integer("expansion_limit", 0);
  const words = parameters.list("domain");
  const matches = words.length === 0 ? undefined : await openDomainList(words, `table ${label}: domain`, scope);

  function asks(key: string): MaybePromise<boolean> {
    if (!result.fits(key)) return false;
    if (matches === undefined) return true;
    const at = key.lastIndexOf("@");
    // Neither a bare name nor `@domain`: full addresses alone.
    return at > 0 && matches(key.slice(at + 1));
  }

  function format(values: readonly string[], key: string): string | undefined {
    let joined = "";
    let count = 0;
    for (const value of values) {
      const expanded = result.expand(value, key);
      if (expanded === undefined) continue;
      if (limit > 0 && ++count > limit) {
        throw new TableUnavailable(label, `expansion limit of ${limit} exceeded`, { onlyThisKey: true });
      }
      joined = joined === "" ? expanded : `${joined},${expanded}`;
    }
    return joined === "" ? undefined : joined;
  }

  return Object.freeze({ asks, format });
}
