// The testers find what is right and, above all, what is wrong.
import { delivered, bounced, reject, type Restriction, type Transport } from "@postern/core";
import { expect, test } from "vitest";
import { z } from "zod";
import { testRestriction } from "./test-restriction.ts";
import { testTransport } from "./test-transport.ts";

const word: Restriction<[string]> = {
  name: "reject_sender",
  description: "Rejects one sender.",
  stages: ["rcpt", "mail"],
  args: z.tuple([z.string()]),
  compile:
    ([sender]) =>
    ({ transaction, recipient }) =>
      transaction?.sender === sender ? reject(`<${sender}> to ${recipient?.address ?? "nobody"}`) : undefined,
};

test("testRestriction", async () => {
  const cases = [
    {
      name: "hit",
      args: ["a@x.test"],
      transaction: { sender: "a@x.test" },
      recipient: "b@y.test",
      expect: "reject 550 5.7.1 <a@x.test> to b@y.test",
    },
    { name: "stage", args: ["a@x.test"], stage: "mail", transaction: { sender: "a@x.test" }, expect: /nobody$/ },
    { name: "miss", args: ["a@x.test"], expect: "none" },
    { name: "no argument", expect: /^config: / },
  ] as const;
  await testRestriction(word, { cases });
  await expect(testRestriction(word, { cases: [{ ...cases[0], expect: "permit" }, cases[2]] })).rejects.toThrow(
    /reject_sender: 1 of 2 cases\n {2}hit: expected "permit", got "reject 550/,
  );
  await expect(testRestriction({ ...word, name: "rejectSender" }, { cases })).rejects.toThrow(/snake_case/);
  const bad: Restriction<[]> = { ...word, args: z.tuple([]), compile: () => () => ({ kind: "nonsense" }) as never };
  await testRestriction(bad, { cases: [{ name: "nonsense", expect: "fails: invalid" }] });
});

test("testTransport", async () => {
  const transport: Transport = {
    name: "twin",
    description: "For this test.",
    async deliver({ recipients, route }, { settle }) {
      for (const recipient of recipients) {
        if (recipient.address.startsWith("no")) settle(recipient, bounced("no such user", { enhanced: "5.1.1" }));
        else settle(recipient, delivered("ok", { enhanced: route.nextHop === "liar" ? "5.0.0" : "2.0.0" }));
        if (route.nextHop === "twice") settle(recipient, delivered("again"));
      }
      return { destination: "alive" };
    },
    close: async () => undefined,
  };
  const one = {
    name: "one",
    recipients: ["a@x.test", "no@x.test"],
    expect: { "a@x.test": "delivered 2.0.0 ok", "no@x.test": /^bounced 5\.1\.1/ },
  };
  await testTransport(transport, { cases: [one] });
  await expect(testTransport(transport, { cases: [{ ...one, nextHop: "twice" }] })).rejects.toThrow(
    /settled a@x.test twice/,
  );
  await expect(testTransport(transport, { cases: [{ ...one, nextHop: "liar" }] })).rejects.toThrow(
    /delivered with the enhanced code 5.0.0/,
  );
  await expect(testTransport(transport, { cases: [{ ...one, destination: "dead" }] })).rejects.toThrow(
    /dead, got alive/,
  );
});
