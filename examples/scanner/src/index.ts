/** The plugin: options, and the scanner that it registers. */
import { definePlugin, size } from "@postern/core";
import { z } from "zod";
import { createFingerprints } from "./fingerprints.ts";

export const options = z.strictObject({
  address: z
    .string()
    .regex(/^[\w.-]+:\d{1,5}$/, 'expected "host:port"')
    .default("127.0.0.1:4711")
    .describe("Where the daemon listens."),
  onKnown: z
    .enum(["reject", "quarantine", "tag"])
    .default("reject")
    .describe("What becomes of a message that is known."),
  exempt: z.array(z.string()).default([]).describe("Recipients who get it all the same, such as abuse@example.test."),
  maxSize: size().default("10MB").describe("Larger messages fail as tooLarge."),
});
export type Options = z.output<typeof options>;

export default definePlugin({
  name: "fingerprints",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    gateway.scanner({
      // `as` gives each instance its own.
      name: gateway.name,
      description: `Asks ${given.address} whether a message is known.`,
      ...createFingerprints(given),
    });
  },
});
