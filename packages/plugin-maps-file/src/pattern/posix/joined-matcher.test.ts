// Many expressions in one automaton match what each of them matches alone.
import { expect, test } from "vitest";
import { randomFrom, sample, seed } from "../../../../../test/sampling.ts";
import { WorkLimit } from "../work.ts";
import { buildAutomaton, type Automaton } from "./automaton.ts";
import { JoinedMatcher } from "./joined-matcher.ts";
import { LazyMatcher } from "./lazy-matcher.ts";
import { parseExpression } from "./parse-expression.ts";

function automatonOf(source: string, newline: boolean): Automaton {
  return buildAutomaton(parseExpression(source, { ignoreCase: false, extended: true, newline }), newline);
}

function matchesAlone(automaton: Automaton, text: string): boolean {
  return new LazyMatcher(automaton, new WorkLimit(), { anchored: false }).test(text);
}

function picker(offset: number) {
  const next = randomFrom(seed + offset);
  const below = (limit: number) => Math.floor(next() * limit);
  const pick = (list: readonly string[]) => list[below(list.length)] ?? "";
  const many = (least: number, most: number, list: readonly string[]) =>
    Array.from({ length: least + below(most - least + 1) }, () => pick(list)).join("");
  return { below, many };
}

const pieces = [
  "a",
  "b",
  ".",
  "[ab]",
  "[^a]",
  "a*",
  "(ab)+",
  "(a|b|)",
  "b?",
  "(a.){2}",
  "^",
  "$",
  "(^|b)",
  "a{1,3}",
  "\n",
];
const rare = ["\\<a", "b\\>", "\\Bb", "\\`", "\\'", "(a|^b$)*", "()", "\u00e4"];
const letters = ["a", "b", "ab", "\n", "c", "\u00e4"];

test("one pass says of each expression what it says alone", () => {
  const { below, many } = picker(11);
  let found = 0;
  for (let round = 0; round < sample(40, 2_000); round++) {
    const sources = Array.from({ length: 1 + below(30) }, () => ({
      source: many(0, 4, pieces) + (below(4) === 0 ? many(1, 1, rare) : "") + many(0, 2, pieces),
      newline: below(3) === 0,
    }));
    const automata = sources.map(({ source, newline }) => automatonOf(source, newline));
    const matcher = new JoinedMatcher(automata);
    for (let count = 0; count < 40; count++) {
      const text = many(0, 8, letters);
      expect(matcher.look(text)).toBe(true);
      automata.forEach((automaton, member) => {
        const expected = /\\[<>B]/.test(sources[member]?.source ?? "") ? undefined : matchesAlone(automaton, text);
        if (expected === true) found++;
        const matches = matcher.matches(member);
        expect({ ...sources[member], text, matches }).toEqual({ ...sources[member], text, matches: expected });
      });
    }
  }
  expect(found).toBeGreaterThan(1_000);
});

test("texts that need ever more states are given up, or answered rightly", () => {
  const { below, many } = picker(12);
  const automata = Array.from({ length: 200 }, (_, at) =>
    automatonOf(`a.{${at % 25}}b.{${at % 7}}[c${at % 10}]$`, false),
  );
  const matcher = new JoinedMatcher(automata);
  const alone = automata.map((automaton) => new LazyMatcher(automaton, new WorkLimit(), { anchored: false }));
  let givenUp = 0;
  let answered = 0;
  for (let count = 0; count < 1_500; count++) {
    const text = many(5, 60, ["a", "b", "c", "1"]);
    if (!matcher.look(text)) {
      givenUp++;
      continue;
    }
    answered++;
    const member = below(automata.length);
    expect({ text, member, matches: matcher.matches(member) }).toEqual({
      text,
      member,
      matches: alone[member]?.test(text),
    });
  }
  expect(givenUp).toBeGreaterThan(0);
  expect(answered).toBeGreaterThan(0);
});

test("an expression that is too large for all together is left out alone", () => {
  const matcher = new JoinedMatcher([automatonOf("a{1,2000}$", false), automatonOf("^aa$", false)]);
  expect(matcher.look("aa")).toBe(true);
  expect([matcher.matches(0), matcher.matches(1)]).toEqual([undefined, true]);
});
