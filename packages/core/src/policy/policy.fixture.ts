/** For the tests of this folder: a small language, an address book that can be down, and one RCPT asked of it. */
import { TableUnavailable } from "../errors.ts";
import { createGuard, type Failed } from "../guard/guard.ts";
import type { OnError } from "../guard/owner.ts";
import { formatReply, systemClock, type Answer, type Clock, type MaybePromise } from "../model/index.ts";
import { z } from "zod";
import type { AddressBook } from "../routing/address-book.ts";
import { compilePolicy, type ListenerPolicy, type PolicyConfig } from "./policy.ts";
import { stages, type Ask, type Restriction } from "./restriction.ts";
import type { PolicyQuestion } from "./session-judge.ts";
import { createVocabulary } from "./vocabulary.ts";

/** `down.example` cannot be told, `ours.example` is ours, `late.example` and `late-down.example` are told later. */
export const addresses: AddressBook = {
  recipientDelimiter: "",
  classOf: (domain) => {
    switch (domain) {
      case "ours.example":
        return "relay";
      case "late.example":
        return Promise.resolve("relay" as const);
      case "down.example":
        throw new TableUnavailable("t", "down");
      case "late-down.example":
        return Promise.reject(new TableUnavailable("t", "down"));
      default:
        return "default";
    }
  },
  isListed: (address) => !address.startsWith("nobody@"),
};

export const question = (recipient = "user@ours.example", more: Partial<PolicyQuestion> = {}): PolicyQuestion => ({
  session: {
    id: "S",
    listener: "l",
    startedAt: 0,
    client: {
      address: "192.0.2.1",
      port: 1,
      name: "client.example",
      reverseName: "client.example",
      nameStatus: "ok",
      inNetworks: false,
    },
    server: { address: "192.0.2.25", port: 25 },
    helo: { verb: "EHLO", name: "client.example" },
    tls: undefined,
    auth: undefined,
  },
  transaction: {
    id: "T",
    sessionId: "S",
    startedAt: 0,
    sender: "sender@client.example",
    recipients: [],
    body: "7bit",
    smtputf8: false,
    declaredSizeBytes: undefined,
  },
  recipient: { address: recipient, original: recipient },
  ...more,
});

export type Words = Readonly<Record<string, (ask: Ask) => MaybePromise<Answer>>>;

export interface PolicySetup {
  readonly words?: Words;
  readonly onError?: OnError;
  readonly clock?: Clock;
  readonly listener?: ListenerPolicy;
  /** More than name and judge. */
  readonly restrictions?: readonly Partial<Restriction>[];
}

export async function setUp(config: PolicyConfig, { words = {}, onError = "defer", ...more }: PolicySetup = {}) {
  const { clock = systemClock, listener, restrictions = [] } = more;
  const failures: Failed[] = [];
  const notes: string[] = [];
  const guard = createGuard(clock, (failed) => failures.push(failed));
  const vocabulary = createVocabulary();
  const owner = { name: "test", onError, deadlineMs: 1000 };
  const base = { stages, args: z.tuple([]) as z.ZodType<readonly unknown[]>, description: "" };
  for (const [name, judge] of Object.entries(words)) {
    vocabulary.register({ ...base, name, compile: () => judge }, owner);
  }
  for (const restriction of restrictions) {
    vocabulary.register({ ...base, name: "x", compile: () => () => undefined, ...restriction }, owner);
  }
  const scope = {
    clock,
    guard,
    addresses,
    openTable: () => Promise.reject(new Error("no tables here")),
    note: ({ text, by }: { text: string; by: { path: string } }) => notes.push(`${by.path}: ${text}`),
  };
  const policy = await compilePolicy(config, vocabulary, scope, listener);
  return { policy, notes, failures, vocabulary };
}

/** What the client hears at RCPT: "ok" or the reply. */
export async function askRecipient(config: PolicyConfig, setup?: PolicySetup, asked = question()): Promise<string> {
  const { policy } = await setUp(config, setup);
  const objection = await policy.start().ask("rcpt", asked);
  return objection === undefined ? "ok" : formatReply(objection.reply);
}
