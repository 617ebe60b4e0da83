// The same policy, tables, names and sessions given to a real Postfix and to Postern: each command gets the same reply code and the
// same enhanced code. What differs on purpose has a name in sessions/differences.ts.
//
// POSTERN_TEST_SEED=n repeats a run, POSTERN_TEST_POLICY=p7 one policy of it.
import { expect, test } from "vitest";
import { isLong, sample, seed } from "../sampling.ts";
import { describeWith } from "../services/describe-with.ts";
import { compare, shorten, tell, type Pair } from "./sessions/comparison.ts";
import type { SessionPolicy } from "./sessions/policy.ts";
import { readVocabulary, startOwn } from "./sessions/postern.ts";
import { leftOut, words } from "./sessions/words.ts";
import { makeSessions, startWorld, type World } from "./sessions/world.ts";

const worlds = Array.from({ length: sample(1, 15) }, (_, index) => seed + index);
const policiesEach = 40;
const sessionsEach = sample(25, 60);
const mostFailures = 5;

const count = (map: Map<string, number>, key: string, more = 1): void => void map.set(key, (map.get(key) ?? 0) + more);
const listed = (map: Map<string, number>): string =>
  [...map]
    .toSorted(([, one], [, other]) => other - one)
    .map(([key, times]) => `${key} ${times}`)
    .join(", ");

class Tally {
  sessions = 0;
  commands = 0;
  refusals = 0;
  readonly meant = new Map<string, number>();
  readonly words = new Map<string, number>();
  readonly failures: string[] = [];

  tell(): string {
    const { sessions, commands, refusals, meant, words: used } = this;
    return `${sessions} sessions, ${commands} commands agree, ${refusals} refusals\ndifferences that are meant: ${listed(meant)}\nwords: ${listed(used)}`;
  }
}

async function runPolicy(world: World, worldSeed: number, policy: SessionPolicy, tally: Tally): Promise<void> {
  for (const [word, times] of policy.used) count(tally.words, word, times);
  await using own = await startOwn(policy, world.nameServer);
  const pair: Pair = { policy, port: world.portOf(policy), own };
  for (const session of makeSessions(worldSeed, policy, sessionsEach)) {
    if (tally.failures.length >= mostFailures) return;
    const outcome = await compare(pair, session);
    tally.sessions += 1;
    tally.commands += outcome.agreed;
    tally.refusals += outcome.theirs.filter(({ code }) => /^[45]/.test(code)).length;
    if (outcome.explained !== undefined) count(tally.meant, outcome.explained);
    if (!outcome.differs) continue;
    const least = await shorten(pair, session, outcome);
    const text = tell(pair, least, await compare(pair, least));
    const zones = Object.entries(world.zones).map(([name, records]) => `${name}: ${records.replaceAll("\n", "; ")}`);
    tally.failures.push(`seed ${worldSeed}, policy ${policy.name}\n${text}\n${zones.join("\n")}`);
    return;
  }
}

describeWith(["postfix", "knotd", "kdig", "unshare", "root"], "sessions, the same as Postfix", () => {
  test.each(worlds)(
    "each command gets the same code and enhanced code (seed %i)",
    async (worldSeed) => {
      const vocabulary = await readVocabulary();
      expect([...words.map(({ name }) => name), ...Object.keys(leftOut)].toSorted()).toEqual(
        [...vocabulary.keys()].toSorted(),
      );
      const tally = new Tally();
      await using world = await startWorld(worldSeed, policiesEach, vocabulary, process.env.POSTERN_TEST_POLICY);
      const waiting = world.policies.values();
      // Several at a time: each waits for the other side most of the time.
      const runAll = async (): Promise<void> => {
        for (const policy of waiting) await runPolicy(world, worldSeed, policy, tally);
      };
      await Promise.all([runAll(), runAll(), runAll(), runAll()]);
      if (isLong || process.env.POSTERN_TEST_SEED !== undefined) console.info(tally.tell());
      expect(tally.failures.join("\n\n"), `${tally.failures.length} policies differ`).toBe("");
      // A name for too much would hide what is not meant.
      expect([...tally.meant.values()].reduce((sum, times) => sum + times, 0)).toBeLessThan(tally.sessions / 5);
      // Two that say nothing would be the same too.
      expect(tally.refusals).toBeGreaterThan(tally.sessions);
    },
    120_000,
  );
});
