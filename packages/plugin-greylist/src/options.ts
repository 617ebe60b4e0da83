/** Options of the greylist. */
import { addressList, clientList, duration } from "@postern/core";
import { z } from "zod";

const settings = z.strictObject({
  delay: duration({ max: "1d" }).default("5m").describe("How long a new triplet is put off."),
  retryWindow: duration({ min: "10m" })
    .default("2d")
    .describe("How long after its first attempt a triplet may come back; later it is new again."),
  lifetime: duration({ min: "1h" })
    .default("35d")
    .describe("How long a triplet that came back is known after its last mail."),
  autoWhitelistAfter: z
    .int()
    .min(0)
    .default(5)
    .describe("A client network is no longer greylisted when this many of its triplets came back; 0: always is."),
  autoWhitelistLifetime: duration({ min: "1h" })
    .default("35d")
    .describe("How long such a network is let in after its last mail, and how long its triplets that came back count."),
  ipv4Prefix: z.int().min(8).max(32).default(24).describe("Size of a client network, IPv4."),
  ipv6Prefix: z.int().min(16).max(128).default(64).describe("Size of a client network, IPv6."),
  allow: z
    .strictObject({
      clients: clientList().default([]).describe("Clients that are let in."),
      senders: addressList().default([]).describe("Senders that are let in."),
      recipients: addressList().default([]).describe("Recipients whose mail is let in."),
    })
    .prefault({})
    .describe("Who is not greylisted, beside `networks` and authenticated clients."),
  only: addressList().optional().describe("Recipients who are greylisted; everybody unless given."),
  header: z.boolean().default(true).describe("Add an `X-Greylist` field to a message that was put off before."),
  maxTriplets: z
    .int()
    .min(1000)
    .max(50_000_000)
    .default(2_000_000)
    .describe("Triplets that wait, and likewise those that came back, at most; beyond it the oldest are forgotten."),
  maxNewPerNetwork: z
    .int()
    .min(1)
    .default(5000)
    .describe(
      "New triplets of one client network, of IPv6 one /48, that are remembered in an hour; what is beyond is only put off.",
    ),
  text: z
    .string()
    .min(1)
    .max(200)
    .default("Greylisted, try again later")
    .describe("What a client is told with 450 4.7.1."),
});

export const options = settings.refine(({ delay, retryWindow }) => retryWindow > delay, {
  path: ["retryWindow"],
  error: "expected more than the delay: nobody could come back in between, and no stranger's mail would ever come in",
});

export type Options = z.output<typeof options>;
