/** Greylisting: the word `greylist` for `policy.rcpt`, with its triplets in the state store. */
import { definePlugin } from "@postern/core";
import { z } from "zod";
import { createGreylist } from "./greylist.ts";
import { options } from "./options.ts";

export default definePlugin({
  name: "greylist",
  apiVersion: 1,
  options,
  setup(gateway, options) {
    const triplets = gateway.store<number>("triplets");
    gateway.restriction({
      name: "greylist",
      stages: ["rcpt"],
      args: z.tuple([]),
      description:
        "Puts a stranger's first mail from a sender to a recipient off (450 4.7.1) unless a later word refuses it for good; lets it in when it comes back.",
      compile: (_args, scope) => createGreylist(triplets, options, scope.clock),
    });
  },
});
