/** Options of the limits. What is not given is not limited. */
import { addressList, clientList, duration } from "@postern/core";
import { z } from "zod";
import { rate } from "./rate.ts";

const openSessions = () => z.int().min(1).optional();

export const options = z.strictObject({
  clients: z
    .strictObject({
      sessions: openSessions().describe("Open sessions at one time."),
      newSessions: rate().optional().describe("New sessions."),
      messages: rate().optional().describe("MAIL commands."),
      recipients: rate().optional().describe("RCPT commands."),
    })
    .prefault({})
    .describe("Of one client network."),
  senders: z
    .strictObject({
      messages: rate().optional().describe("MAIL commands."),
      recipients: rate().optional().describe("RCPT commands."),
    })
    .prefault({})
    .describe("Of one sender address; the null sender is not limited."),
  users: z
    .strictObject({
      sessions: openSessions().describe("Open sessions at one time."),
      messages: rate().optional().describe("MAIL commands."),
      recipients: rate().optional().describe("RCPT commands."),
    })
    .prefault({})
    .describe("Of one authenticated user, from wherever."),
  recipients: z
    .strictObject({ messages: rate().optional().describe("Messages.") })
    .prefault({})
    .describe("For one recipient address."),
  ipv4Prefix: z.int().min(8).max(32).default(32).describe("Size of a client network, IPv4."),
  ipv6Prefix: z.int().min(16).max(128).default(64).describe("Size of a client network, IPv6."),
  allow: z
    .strictObject({
      networks: z.boolean().default(true).describe("The config's `networks` are not limited."),
      clients: clientList().default([]).describe("Clients that are not limited."),
      senders: addressList().default([]).describe("Senders that are not limited."),
      users: z.array(z.string().min(1)).default([]).describe("Authenticated users that are not limited."),
      recipients: addressList().default([]).describe("Recipients that are not limited."),
    })
    .prefault({})
    .describe("Who is not limited."),
  tarpit: z
    .strictObject({
      after: z.int().min(0).default(3).describe("Refusals of one session, since its last message, that cost no time."),
      delay: duration({ min: "100ms", max: "1m" })
        .default("1s")
        .describe("Wait of the first one after that; each further one waits so much longer."),
      longest: duration({ max: "1m" }).default("20s").describe("Longest wait."),
    })
    .refine(({ delay, longest }) => longest >= delay, { path: ["longest"], message: "expected no less than the delay" })
    .optional()
    .describe("Replies to a client that makes errors come late. `{}` for the defaults."),
  greetPause: z
    .strictObject({
      delay: duration({ min: "100ms", max: "1m" })
        .default("5s")
        .describe("Wait before the greeting. Who speaks first is turned away."),
      remember: duration().default("1d").describe("A client network that has waited once need not again for so long."),
    })
    .optional()
    .describe("New clients wait for their greeting. `{}` for the defaults."),
});
export type Options = z.output<typeof options>;
