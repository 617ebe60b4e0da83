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
      {
        name: "again",
        advanceMs: 1,
        expect: /^prepend X-Greylist: delayed 300 seconds by postern-greylist at mx\.example\.test; /,
      },
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
  plugin.spaces.get("waiting")?.fail();
  await testRestriction(word, {
    clock: plugin.clock,
    cases: [{ name: "the store is lost", transaction: { sender: "new@x.test" }, expect: "fails: error" }],
  });
  await plugin.close();
});

test("lists say who is let in, and to whom greylisting applies", async () => {
  const plugin = await openPlugin(greylist, {
    allow: {
      clients: ["198.51.100.0/24", "friend.test"],
      senders: ["@friend.test"],
      recipients: ["open@example.test"],
    },
    only: ["!not@example.test", "@example.test"],
  });
  const word = plugin.restrictions.get("greylist");
  if (word === undefined) throw new Error("no word");
  const greylisted = /^deferIfPermit/;
  await testRestriction(word, {
    clock: plugin.clock,
    cases: [
      { name: "a stranger", recipient: "b@example.test", expect: greylisted },
      {
        name: "a network",
        session: { client: { address: "198.51.100.7" } },
        recipient: "b@example.test",
        expect: "none",
      },
      {
        name: "a name that is proved",
        session: { client: { name: "mx.friend.test", nameStatus: "ok" } },
        recipient: "b@example.test",
        expect: "none",
      },
      {
        name: "a name that is only claimed",
        session: { client: { name: "mx.friend.test", nameStatus: "permanent" } },
        recipient: "b@example.test",
        expect: greylisted,
      },
      { name: "a sender", transaction: { sender: "x@friend.test" }, recipient: "b@example.test", expect: "none" },
      { name: "the null sender", transaction: { sender: "" }, recipient: "b@example.test", expect: greylisted },
      { name: "a recipient", recipient: "open@example.test", expect: "none" },
      { name: "taken out", recipient: "not@example.test", expect: "none" },
      { name: "not of those", recipient: "b@other.test", expect: "none" },
    ],
  });
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
  ["a window that closes before the delay is over", { delay: "1h", retryWindow: "30m" }, /retryWindow.*more than/s],
])("%s is refused", async (_, options, message) => {
  await expect(openPlugin(greylist, options)).rejects.toThrow(message);
});
