/** The `domain` parameter: a match list of whole domains, without their subdomains (string_list). */
import type { MaybePromise } from "../../model/maybe-promise.ts";
import { foldKey } from "../fold.ts";
import { openMatchList, type MatchFlavour } from "../match-list.ts";
import type { TableScope } from "../table.ts";

const stringFlavour: MatchFlavour<string> = Object.freeze({
  compile(literals: readonly string[]) {
    const known = new Set(literals.map(foldKey));
    return (domain: string) => known.has(domain);
  },
  turns: (domain: string) => [[domain]],
});

/** The answer rejects with `TableUnavailable` when a table of the list could not be asked. */
export type DomainList = (domain: string) => MaybePromise<boolean>;

/** Opens the list's tables and reads its files. Throws `ConfigError`. `path` says where the list stands. */
export async function openDomainList(words: readonly string[], path: string, scope: TableScope): Promise<DomainList> {
  const comment = words.findIndex((word) => word.startsWith("#"));
  if (comment >= 0) scope.warn(`${path}: a comment at the end of a line is not supported: ${words[comment]}`);
  const list = await openMatchList(comment < 0 ? words : words.slice(0, comment), stringFlavour, {
    path,
    directory: scope.directory,
    openTable: (spec) => scope.open(spec),
  });
  return (domain) => list.matches(foldKey(domain));
}
