// Lists that a plugin asks itself, for clients of somebody else, and words with a deadline of their own.
import { expect, test } from "vitest";
import { z } from "zod";
import { createGuard, type Failed } from "../guard/guard.ts";
import { reject, systemClock, type Clock } from "../model/index.ts";
import { ListCompiler } from "./compile.ts";
import { addresses, question } from "./policy.fixture.ts";
import { stages, type Restriction } from "./restriction.ts";
import { createVocabulary } from "./vocabulary.ts";

function compiler(restrictions: readonly Partial<Restriction>[], clock: Clock = systemClock) {
  const failures: Failed[] = [];
  const vocabulary = createVocabulary();
  for (const restriction of restrictions) {
    const base = { stages, args: z.tuple([]) as z.ZodType<readonly unknown[]>, description: "", name: "x" };
    const compile = () => () => undefined;
    vocabulary.register({ ...base, compile, ...restriction }, { name: "test", onError: "defer", deadlineMs: 1000 });
  }
  const guard = createGuard(clock, (failed) => failures.push(failed));
  const openTable = () => Promise.reject(new Error("no tables here"));
  return { failures, lists: new ListCompiler({}, vocabulary, { clock, guard, addresses, openTable }) };
}

test("a word is left out where it cannot stand, and refused nowhere", async () => {
  const { lists } = compiler([
    { name: "at_rcpt", stages: ["rcpt"], compile: () => () => reject("rcpt") },
    { name: "at_data", stages: ["data", "message"], compile: () => () => reject("data") },
  ]);
  const judges = await lists.compileForAllStages(["at_data", "at_rcpt"], "list");
  const said = stages.map((stage) => judges[stage]({ ...question(), stage, dry: false }));
  expect(said).toMatchObject([
    undefined,
    undefined,
    undefined,
    undefined,
    [{ reply: { text: "rcpt" } }],
    [{ reply: { text: "data" } }],
    [{ reply: { text: "data" } }],
  ]);
  await expect(lists.compileForAllStages(["at_rcpt", "no_such"], "list")).rejects.toThrow(/^list\[1\]: unknown word/);
});

test("a word's own deadline stands in place of its plugin's", async () => {
  const delays: number[] = [];
  const clock: Clock = {
    ...systemClock,
    setTimer(call, delayMs) {
      delays.push(delayMs);
      return systemClock.setTimer(call, 0);
    },
  };
  const never = () => () => new Promise<undefined>(() => undefined);
  const { lists, failures } = compiler([{ deadlineMs: 77_000, compile: never }], clock);
  const [word] = await lists.compile(["x"], "list", "rcpt");
  expect(word?.owner).toMatchObject({ name: "test", deadlineMs: 77_000 });
  const judges = await lists.compileForAllStages(["x"], "list");
  await judges.rcpt({ ...question(), stage: "rcpt", dry: false });
  expect(delays).toContain(77_000);
  expect(failures).toMatchObject([{ reason: "timeout" }]);
});
