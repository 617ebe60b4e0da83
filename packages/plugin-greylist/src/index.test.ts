// The plugin as a gateway has it: word, state, time.
import {
  fuzzAnswer,
  openPlugin,
  sampleRecipient,
  sampleSession,
  sampleTransaction,
  testRestriction,
} from "@postern/testkit";
import { expect, test } from "vitest";
import greylist from "./index.ts";

test("a stranger comes in after the delay of the config", async () => {
  const plugin = await openPlugin(greylist, { delay: "5m", onError: "defer" });
  const word = plugin.restrictions.get("greylist");
  if (word === undefined) throw new Error("no word");
  await testRestriction(word, {
    clock: plugin.clock,
    cases: [
      { name: "explain leaves no trace", dry: true, expect: "deferIfPermit 450 4.7.1 Greylisted, try again later" },
      { name: "first", expect: /^deferIfPermit 450 4\.7\.1 / },
      { name: "too early", advanceMs: 299_999, expect: /^deferIfPermit/ },
      { name: "again", advanceMs: 1, expect: "none" },
      { name: "another sender", transaction: { sender: "other@example.net" }, expect: /^deferIfPermit/ },
      {
        name: "our own",
        session: { client: { inNetworks: true } },
        transaction: { sender: "x@x.test" },
        expect: "none",
      },
      { name: "no arguments", args: ["5m"], expect: /^config: / },
    ],
  });
  plugin.spaces.get("triplets")?.fail();
  await testRestriction(word, { clock: plugin.clock, cases: [{ name: "the store is lost", expect: "fails: error" }] });
  await plugin.close();
});

test("hostile senders and names break no edge", async () => {
  const plugin = await openPlugin(greylist);
  const word = plugin.restrictions.get("greylist");
  const judge = await word?.compile([], { clock: plugin.clock } as never);
  await fuzzAnswer((hostile) =>
    judge?.({
      stage: "rcpt",
      session: sampleSession({ client: { address: hostile } }),
      transaction: sampleTransaction({ sender: hostile }),
      recipient: sampleRecipient(hostile),
      dry: false,
    }),
  );
  await plugin.close();
});

test.each([
  ["an unknown key", { dealy: "5m" }, /dealy/],
  ["a bare number", { delay: 300 }, /duration/],
])("%s is refused", async (_, options, message) => {
  await expect(openPlugin(greylist, options)).rejects.toThrow(message);
});
