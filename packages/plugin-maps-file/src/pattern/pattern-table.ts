/** `regexp` and `pcre` as lookup tables. */
import { TableUnavailable, type Located, type LookupTable, type TableType } from "@postern/core";
import { openRules, type RuleSource } from "../rules/rule-lines.ts";
import type { PatternEngine } from "./engine.ts";
import { loadPcre2 } from "./pcre/library.ts";
import { Pcre2Engine } from "./pcre/pcre-engine.ts";
import { RegexpEngine } from "./posix/regexp-engine.ts";
import type { RuleDialect } from "./rule.ts";
import { BrokenResult, RuleSet, type RuleAnswer } from "./rule-set.ts";
import { OverLimit, WorkLimit } from "./work.ts";

/** Characters; the callers' own bounds are far below. */
const longestKey = 65_536;

export interface PatternTypeOptions {
  readonly type: string;
  readonly description: string;
  readonly dialect: RuleDialect;
  readonly engine: (pcre: Pcre2Engine, work: WorkLimit) => PatternEngine;
}

export const regexpOptions: PatternTypeOptions = {
  type: "regexp",
  description: "Rules of POSIX regular expressions, in a file that is followed or in the config.",
  dialect: { flags: "imx", obsoleteFlags: "", secondPattern: true, unclosed: "skipping", outOfRange: "out-of-range" },
  engine: (pcre, work) => new RegexpEngine(work, pcre),
};

export const pcreOptions: PatternTypeOptions = {
  type: "pcre",
  description: "Rules of Perl-compatible regular expressions, in a file that is followed or in the config.",
  dialect: {
    flags: "imsxAEU",
    obsoleteFlags: "X",
    secondPattern: false,
    unclosed: "ignoring",
    outOfRange: "out of range",
  },
  engine: (pcre) => pcre,
};

export function createPatternType(options: PatternTypeOptions): TableType {
  const { type, description } = options;
  return {
    type,
    description,
    async open(name, scope, parameters) {
      const module = await loadPcre2();
      const withoutSubstitution = scope.purpose.withoutSubstitution === true;
      const source = await openRules(type, name, scope, parameters, (lines, warn) => {
        const work = new WorkLimit();
        const engine = options.engine(new Pcre2Engine(module, work), work);
        return new RuleSet(lines, warn, { dialect: options.dialect, engine, work, withoutSubstitution });
      });
      return createPatternTable(type, name, source);
    },
  };
}

function createPatternTable(type: string, name: string, source: RuleSource<RuleSet>): LookupTable {
  const label = name === "" ? type : `${type}:${name}`;

  function answer(key: string): RuleAnswer | undefined {
    const rules = source.current;
    if (key.length > longestKey) {
      throw new TableUnavailable(label, `a key of ${key.length} characters is too long`, { onlyThisKey: true });
    }
    try {
      return rules.answer(key);
    } catch (error) {
      if (!(error instanceof OverLimit) && !(error instanceof BrokenResult)) throw error;
      throw new TableUnavailable(label, error.message, { cause: error, onlyThisKey: true });
    }
  }

  return Object.freeze({
    type,
    name,
    kind: "pattern" as const,
    trusted: true,
    lookup: (key: string) => answer(key)?.value,
    locate(key: string): Located | undefined {
      const found = answer(key);
      if (found === undefined) return undefined;
      const place = { line: found.line, key: found.written, value: found.value };
      return source.file === undefined ? place : { file: source.file, ...place };
    },
    close: () => source.close(),
  });
}
