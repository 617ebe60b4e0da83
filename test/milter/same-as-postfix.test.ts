// The same milter, doing the same, behind a real Postfix and behind the gateway: the same replies command by command, the same header, body and
// envelope in the end, and the milter was told the same. What differs on purpose has a name in differences.ts.
//
// POSTERN_TEST_SEED=n repeats a run.
import { expect, test } from "vitest";
import { isLong, sample, seed } from "../sampling.ts";
import { requirePymilter } from "../services/pymilter.ts";
import { requirePrograms } from "../services/programs.ts";
import { describeUnless, temporaryFolder } from "../services/index.ts";
import { compareFates } from "./comparison.ts";
import { makeSessions } from "./sessions.ts";
import { startMilterWorld, variants } from "./world.ts";

const count = sample(60, 6_000);
const mostFailures = 5;

describeUnless(requirePrograms("postfix", "root") ?? requirePymilter(), "milters, the same as Postfix", () => {
  test(
    `${count} sessions`,
    async () => {
      using folder = temporaryFolder();
      await using world = await startMilterWorld(folder.path);
      const sessions = makeSessions(seed, count, variants);
      const theirs = await world.behindPostfix(sessions);
      const ours = await world.behindUs(sessions);
      const failures: string[] = [];
      const meant = new Map<string, number>();
      let replies = 0;
      let delivered = 0;
      let notes = 0;
      for (const session of sessions) {
        const [postfix, own] = [theirs.get(session.address), ours.get(session.address)];
        if (postfix === undefined || own === undefined) throw new Error(`${session.address} was not asked`);
        const { differences, named } = compareFates(session, postfix, own);
        for (const name of named) meant.set(name, (meant.get(name) ?? 0) + 1);
        replies += own.replies.length;
        delivered += own.delivered.size;
        for (const heard of own.notes.values()) notes += heard.length;
        if (differences.length > 0 && failures.length < mostFailures) {
          failures.push(
            `seed ${seed}, ${session.address}\n${JSON.stringify(session, undefined, 1)}\n${differences.join("\n")}`,
          );
        }
      }
      if (isLong || process.env.POSTERN_TEST_SEED !== undefined) {
        const named = [...meant].map(([name, times]) => `${name} ${times}`).join(", ");
        console.info(
          `${count} sessions, ${replies} replies, ${delivered} deliveries, ${notes} callbacks\nmeant: ${named}`,
        );
      }
      expect(failures.join("\n\n")).toBe("");
      expect(delivered).toBeGreaterThan(count / 3);
    },
    isLong ? 2_400_000 : 60_000,
  );
});
