/** Options of the authentication. */
import { domain, duration, tableSpec } from "@postern/core";
import { z } from "zod";

const count = (): z.ZodInt => z.int().min(0).max(1_000_000);

export const options = z.strictObject({
  passwords: tableSpec().describe(
    "Table of identities and hashed passwords: scrypt, bcrypt or SHA-crypt. `postern passwd` makes them.",
  ),
  realm: domain().optional().describe("Put behind a login without a domain: `user` is `user@realm` then."),
  failures: z
    .strictObject({
      delay: duration({ max: "30s" })
        .default("1s")
        .describe("How long the first refusal is held back; each further one of a client twice as long."),
      longestDelay: duration({ max: "30s" }).default("8s").describe("Longest time a refusal is held back."),
      perSession: count().default(4).describe("Failed logins with which a session ends (421); 0: no limit."),
      perClient: count()
        .default(50)
        .describe(
          "Failed logins of a client address (/64 for IPv6) in `window`, after which it is told to come later (454); 0: no limit.",
        ),
      perIdentity: count()
        .default(20)
        .describe(
          "Failed logins of an identity in `window`, after which every answer about it takes `longestDelay`; nobody is locked out. 0: no limit.",
        ),
      window: duration({ min: "1s", max: "7d" }).default("10m").describe("How long failed logins are counted."),
    })
    .prefault({})
    .describe("What failed logins lead to."),
  threads: z.int().min(1).max(64).default(2).describe("Threads that check passwords."),
  waiting: z.int().min(1).max(10_000).default(100).describe("Logins that may wait for a thread; more are told 454."),
});

export type Options = z.output<typeof options>;
