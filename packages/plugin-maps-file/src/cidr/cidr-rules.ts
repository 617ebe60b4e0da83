/** The compiled rules of one version of a `cidr` table. */
import type { RuleLine, RuleWarning } from "../rules/rule-lines.ts";
import { readIpv4, readIpv6 } from "./address.ts";
import { IntervalTable, type AddressRange, type RangeRule } from "./interval-table.ts";
import { complementWithin, everything, intersect } from "./ranges.ts";
import { parseCidrRule } from "./rule.ts";

export interface CidrAnswer {
  readonly value: string;
  readonly line: number;
  readonly pattern: string;
}

/** Words of an address of each family. */
const widths = [1, 4] as const;

export class CidrRules {
  readonly #ipv4: IntervalTable;
  readonly #ipv6: IntervalTable;
  /** For each rule its value in `#values`, its line and its pattern. */
  readonly #valueOf: Uint32Array;
  readonly #lines: Uint32Array;
  readonly #values: readonly string[];
  readonly #patterns: readonly string[];
  readonly #words = new Uint32Array(4);

  constructor(lines: Iterable<RuleLine>, warn: RuleWarning) {
    const compiler = new Compiler(warn);
    for (const line of lines) compiler.add(line);
    compiler.finish();
    this.#ipv4 = new IntervalTable(compiler.rules[0], 1);
    this.#ipv6 = new IntervalTable(compiler.rules[1], 4);
    this.#valueOf = Uint32Array.from(compiler.valueOf);
    this.#lines = Uint32Array.from(compiler.lines);
    this.#values = [...compiler.values.keys()];
    this.#patterns = compiler.patterns;
  }

  lookup(key: string): string | undefined {
    const rule = this.#find(key);
    return rule < 0 ? undefined : this.#values[this.#valueOf[rule] ?? 0];
  }

  answer(key: string): CidrAnswer | undefined {
    const rule = this.#find(key);
    if (rule < 0) return undefined;
    const value = this.#values[this.#valueOf[rule] ?? 0] ?? "";
    return { value, line: this.#lines[rule] ?? 0, pattern: this.#patterns[rule] ?? "" };
  }

  /** -1 for a key that is no address, too. */
  #find(key: string): number {
    // The longest address has 45 characters.
    if (key.length > 45) return -1;
    const address = readIpv4(key);
    if (address >= 0) return this.#ipv4.findWord(address);
    if (!key.includes(":") || !readIpv6(key, this.#words)) return -1;
    return this.#ipv6.find(this.#words);
  }
}

/** Where rules can match at all, inside of the open `if`s: for each family some ranges in order. */
type Region = readonly [readonly AddressRange[], readonly AddressRange[]];

class Compiler {
  readonly rules: readonly [RangeRule[], RangeRule[]] = [[], []];
  readonly values = new Map<string, number>();
  readonly valueOf: number[] = [];
  readonly lines: number[] = [];
  readonly patterns: string[] = [];
  readonly #warn: RuleWarning;
  readonly #open: { readonly line: number; readonly outer: Region }[] = [];
  #region: Region = [everything(1), everything(4)];

  constructor(warn: RuleWarning) {
    this.#warn = warn;
  }

  add({ line, text }: RuleLine): void {
    const rule = parseCidrRule(text, this.#open.length);
    if (typeof rule === "string") {
      this.#warn(line, `${rule}: skipping this rule`);
      return;
    }
    if (rule.kind === "endif") {
      this.#region = this.#open.pop()?.outer ?? this.#region;
      return;
    }
    const family = rule.network.first.length === widths[0] ? 0 : 1;
    const within = this.#region[family];
    const ranges = rule.negated ? complementWithin(within, rule.network) : intersect(within, rule.network);
    if (rule.kind === "if") {
      this.#open.push({ line, outer: this.#region });
      this.#region = family === 0 ? [ranges, []] : [[], ranges];
      return;
    }
    const number = this.lines.push(line) - 1;
    this.patterns.push((rule.negated ? "!" : "") + rule.pattern);
    let value = this.values.get(rule.value);
    if (value === undefined) this.values.set(rule.value, (value = this.values.size));
    this.valueOf.push(value);
    if (ranges.length > 0) this.rules[family].push({ ranges, rule: number });
  }

  finish(): void {
    for (const { line } of this.#open.toReversed()) this.#warn(line, "IF has no matching ENDIF");
  }
}
