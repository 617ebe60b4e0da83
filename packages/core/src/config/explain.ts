/** What zod found wrong, as sentences with path, expectation, value and the nearest known word. Never shows a secret. */
import type { z } from "zod";
import { didYouMean, findNearest } from "./nearest.ts";
import { formatPath, type Problem } from "./problem.ts";
import { redact, secretName } from "./redact.ts";
import { shapeAt } from "./schema-walk.ts";

type Issue = z.core.$ZodIssue;

export interface Explained {
  readonly file: string;
  /** Where in the file the checked value stands: `["plugins", 2, 1]`. */
  readonly at?: readonly PropertyKey[];
  readonly schema: z.core.$ZodType;
  /** What was checked. */
  readonly value: unknown;
  /** Keys that are no part of the schema but known, for the nearest word: the host keys of a plugin's entry. */
  readonly moreKeys?: readonly string[];
}

export function explainIssues(issues: readonly Issue[], explained: Explained): Problem[] {
  const problems = issues.flatMap((issue) => explainIssue(issue, explained));
  // A key that is missing because it is misspelt is one mistake, not two.
  const meant = new Set(problems.map(({ meant }) => meant));
  return problems
    .filter(({ path, absent }) => !(absent && meant.has(path)))
    .map(({ file, path, message }) => ({ file, path, message }));
}

interface Mistake extends Problem {
  /** Of an unknown key: the path that it probably means. */
  readonly meant?: string;
  /** Nothing is there. */
  readonly absent?: boolean;
}

function explainIssue(issue: Issue, explained: Explained): Mistake[] {
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(key, issue.path, explained));
  if (issue.code === "invalid_union") {
    const branch = likelyBranch(issue.errors);
    if (branch !== undefined) {
      const moved = branch.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
      return moved.flatMap((inner) => explainIssue(inner, explained));
    }
  }
  return [problem(issue, explained)];
}

/**
 * The branch that the author meant: the one that got furthest, if it got past the first look. A branch whose issue is at the
 * union itself only says that the value has another type.
 */
function likelyBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const meant = branches.filter((issues) => issues.every(isInside));
  return meant.toSorted((left, right) => left.length - right.length)[0];
}

function isInside(issue: Issue): boolean {
  return issue.path.length > 0 || issue.code === "unrecognized_keys";
}

function unknownKey(key: string, path: readonly PropertyKey[], explained: Explained): Mistake {
  const shape = shapeAt(explained.schema, path);
  const more = path.length === 0 ? (explained.moreKeys ?? []) : [];
  const known = [...Object.keys(shape ?? {}), ...more];
  const place = [...(explained.at ?? []), ...path];
  const full = formatPath([...place, key]);
  const near = findNearest(key, known);
  return {
    file: explained.file,
    path: full,
    message: `${full} is not a known key${hint(key, known)}`,
    ...(near === undefined ? {} : { meant: formatPath([...place, near]) }),
  };
}

function problem(issue: Issue, explained: Explained): Mistake {
  const path = formatPath([...(explained.at ?? []), ...issue.path]);
  const where = path === "" ? "" : `${path}: `;
  const value = valueAt(explained.value, issue.path);
  const absent = value === undefined;
  const own = ownMessage(issue);
  if (own !== undefined && !own.startsWith("expected "))
    return { file: explained.file, path, message: where + own, absent };
  const found = isSecret(issue) ? "" : absent ? ", nothing is there" : `, got ${show(value)}`;
  const near =
    issue.code === "invalid_value" && typeof value === "string" ? didYouMean(value, issue.values.map(String)) : "";
  return {
    file: explained.file,
    path,
    message: `${where}${own ?? `expected ${expectation(issue)}`}${found}${near}`,
    absent,
  };
}

/** The schema's own words, when its author gave any; zod's begin otherwise. */
function ownMessage({ message }: Issue): string | undefined {
  return /^(?:Invalid|Too (?:small|big)|Unrecognized|$)/.test(message) ? undefined : message;
}

/** The nearest key, or all of them when none is near. */
function hint(key: string, known: readonly string[]): string {
  const near = didYouMean(key, known);
  return near !== "" || known.length === 0 ? near : `; known are ${known.join(", ")}`;
}

const names: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
  tuple: "a list",
};

function expectation(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return names[issue.expected] ?? `a value of type ${issue.expected}`;
    case "invalid_value":
      return listOf(issue.values.map((value) => JSON.stringify(value) ?? String(value)));
    case "too_small":
      return amount(issue.origin, "at least", issue.minimum);
    case "too_big":
      return amount(issue.origin, "at most", issue.maximum);
    case "invalid_format":
      return issue.format === "regex" ? `text of the form ${issue.pattern ?? "asked for"}` : `a valid ${issue.format}`;
    default:
      return "another value";
  }
}

function amount(origin: string, bound: string, limit: number | bigint): string {
  if (origin === "string")
    return limit === 1 && bound === "at least" ? "a text that is not empty" : `${bound} ${limit} characters`;
  if (origin === "array") return `${bound} ${limit} ${limit === 1 ? "entry" : "entries"}`;
  return `a number of ${bound} ${limit}`;
}

function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** Short and on one line; of objects only that they are such. */
function show(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "function") return "a function";
  const text = JSON.stringify(redact(value)) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

/** The schema says so, or the key's name does: a password in the wrong place is still a password. */
function isSecret(issue: Issue): boolean {
  if (issue.code === "custom" && issue.params?.["secret"] === true) return true;
  return issue.path.some((step) => typeof step === "string" && secretName.test(step));
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (current, step) => (typeof current === "object" && current !== null ? Reflect.get(current, step) : undefined),
    value,
  );
}
