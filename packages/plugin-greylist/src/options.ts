/** Options of the greylist. */
import { duration } from "@postern/core";
import { z } from "zod";

export const options = z.strictObject({
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
    .default(0)
    .describe("A client network is no longer greylisted when this many of its triplets came back; 0: always is."),
  ipv4Prefix: z.int().min(8).max(32).default(24).describe("Size of a client network, IPv4."),
  ipv6Prefix: z.int().min(16).max(128).default(64).describe("Size of a client network, IPv6."),
  text: z
    .string()
    .min(1)
    .max(200)
    .default("Greylisted, try again later")
    .describe("What a client is told with 450 4.7.1."),
});

export type Options = z.output<typeof options>;
