/** Where the rules of `regexp`, `pcre` and `cidr` stand: in a file that is followed, or in the config itself. */
import { readFile } from "node:fs/promises";
import { isAbsolute, resolve } from "node:path";
import {
  ConfigError,
  isGrouped,
  logicalLines,
  splitWords,
  TableUnavailable,
  withoutBraces,
  type TableParameters,
  type TableScope,
} from "@postern/core";
import { FollowedFile } from "../follow/followed-file.ts";

/** One rule as written, comments and continuations already dealt with. */
export interface RuleLine {
  /** The first is 1; in the config, the rule's place among its like. */
  readonly line: number;
  readonly text: string;
}

/** Rules that were compiled, and compiled again when their file changes. */
export interface RuleSource<T> {
  /** None when the rules stand in the config. */
  readonly file: string | undefined;
  /** Throws `TableUnavailable` after close(). */
  readonly current: T;
  close(): Promise<void>;
}

/** Told of a wrong rule: the sentence is Postfix's, and so is what is done about it. */
export type RuleWarning = (line: number, text: string) => void;

/** Turns rules into a table; a wrong rule is told and left out. */
export type CompileRules<T> = (lines: Iterable<RuleLine>, warn: RuleWarning) => T | Promise<T>;

const trailingBlanks = /[ \t\v\f\r\n]+$/;

/** `type:file`, `type:{ { rule }, … }`, or an object with `rules`. Throws `ConfigError`. */
export async function openRules<T>(
  type: string,
  name: string,
  scope: TableScope,
  parameters: TableParameters,
  compile: CompileRules<T>,
): Promise<RuleSource<T>> {
  const label = name === "" ? type : `${type}:${name}`;
  const inline = inlineRules(label, name, parameters);
  if (inline !== undefined) {
    const where = name === "" ? `table ${label}` : `${type} map ${shortened(name)}`;
    const lines = inline.map((text, at) => ({ line: at + 1, text: text.replace(trailingBlanks, "") }));
    const rules = await compile(
      lines.filter(({ text }) => text !== "" && !text.startsWith("#")),
      (line, text) => scope.warn(`${where}, line ${line}: ${text}`),
    );
    return held(label, rules);
  }
  const path = isAbsolute(name) ? name : resolve(scope.directory, name);
  const warn: RuleWarning = (line, text) => scope.warn(`${type} map ${path}, line ${line}: ${text}`);
  const load = async (): Promise<T> => compile(readRules(await readFile(path), warn), warn);
  const file = await FollowedFile.open({ path, label, scope, load, settles: true });
  return {
    file: path,
    get current() {
      return file.current;
    },
    close: () => file.close(),
  };
}

function* readRules(file: Buffer, warn: RuleWarning): Generator<RuleLine> {
  for (const { line, text } of logicalLines(file, warn)) yield { line, text: text.replace(trailingBlanks, "") };
}

function inlineRules(label: string, name: string, parameters: TableParameters): string[] | undefined {
  const { rules, ...others } = parameters;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new ConfigError(`table ${label}: unknown key "${unknown}"; there is "rules"`);
  if (rules !== undefined) {
    if (name !== "") throw new ConfigError(`table ${label}: either a file or "rules", not both`);
    if (!Array.isArray(rules)) throw new ConfigError(`table ${label}: "rules" is a list of rules, each a text`);
    return rules.map((rule: unknown, at) => {
      if (typeof rule === "string" && !rule.includes("\n") && !rule.includes("\0")) return rule.trimStart();
      throw new ConfigError(`table ${label}: rule ${at + 1} is no text of one line`);
    });
  }
  if (name === "") throw new ConfigError(`table ${label}: it needs a file name, or "rules"`);
  if (!name.startsWith("{")) return undefined;
  const fail = (why: string) => new ConfigError(`table ${label}: ${why}; write ${label.split(":")[0]}:{ { rule }, … }`);
  if (!isGrouped(name)) throw fail("its braces do not match");
  return splitWords(withoutBraces(name)).map((word) => {
    if (!isGrouped(word)) throw fail(`no "{" at the start of "${word}"`);
    return withoutBraces(word);
  });
}

function held<T>(label: string, rules: T): RuleSource<T> {
  let closed = false;
  return {
    file: undefined,
    get current() {
      if (closed) throw new TableUnavailable(label, "it is closed");
      return rules;
    },
    close: () => {
      closed = true;
      return Promise.resolve();
    },
  };
}

function shortened(name: string): string {
  return name.length > 60 ? `${name.slice(0, 60)}…` : name;
}
