/** Greylisting: the word `greylist` for `policy.rcpt`, with its triplets in the state store. */
import { definePlugin } from "@postern/core";
import { z } from "zod";
import { createExemptions } from "./exemptions.ts";
import { createGreylist } from "./greylist.ts";
import { options } from "./options.ts";

export default definePlugin({
  name: "greylist",
  apiVersion: 1,
  options,
  setup(gateway, options) {
    const { hostname } = gateway;
    // Spaces of their own, each with a quota: what strangers leave behind displaces nobody who came back.
    const bounds = { maxEntries: options.maxTriplets, lazy: true };
    const spaces = {
      waiting: gateway.store<number>("waiting", bounds),
      known: gateway.store<number>("known", bounds),
      networks: gateway.store<number>("networks", bounds),
    };
    const isExempt = createExemptions(gateway, options);
    gateway.restriction({
      name: "greylist",
      stages: ["rcpt"],
      args: z.tuple([]),
      description:
        "Puts a stranger's first mail from a sender to a recipient off (450 4.7.1) unless a later word refuses it for good; lets it in when it comes back.",
      compile: (_args, { clock }) => createGreylist({ spaces, options, clock, hostname, isExempt }),
    });
  },
});
