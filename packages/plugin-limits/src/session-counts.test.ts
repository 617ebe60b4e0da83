// Counts of open sessions in one process, as it tells the others of them.
import { createFakeClock, createFakeSpace, sampleSession } from "@postern/testkit";
import { expect, test } from "vitest";
import { SessionCounts } from "./session-counts.ts";

/** Two processes with one store; `ended` sessions have lost their slots. */
function desk() {
  const clock = createFakeClock();
  const space = createFakeSpace<number>(clock);
  const ended = new Set<string>();
  const mark = {};
  const fail = (error: unknown): never => {
    throw error;
  };
  const process = (name: string) =>
    new SessionCounts(space, clock, ({ id }) => (ended.has(id) ? {} : mark), name, fail);
  return { space, ended, here: process("here"), there: process("there") };
}

test("a session whose end was not reported is not told of to the others for good", async () => {
  const { space, ended, here, there } = desk();
  here.exceeds("client 192.0.2.1", sampleSession({ id: "one" }), 1);
  await here.publish();
  expect(space.keys).toEqual(["client 192.0.2.1 here"]);
  ended.add("one");
  await here.publish();
  expect(space.keys).toEqual([]);
  expect(there.exceeds("client 192.0.2.1", sampleSession({ id: "two" }), 1)).toBe(false);
});

test("the sessions of a user whose name begins with another's are not the other's", async () => {
  const { here, there } = desk();
  here.exceeds("user ann lee", sampleSession({ id: "one" }), 1);
  await here.publish();
  const sessions = [sampleSession({ id: "two" }), sampleSession({ id: "three" })] as const;
  there.exceeds("user ann", sessions[0], 2);
  await there.publish();
  expect(there.exceeds("user ann", sessions[1], 2)).toBe(false);
});
