import { definePlugin, reject } from "@postern/core";
import { z } from "zod";

export default definePlugin({
  name: "reject-sender-domain",
  apiVersion: 1,
  options: z.strictObject({ text: z.string().default("Not from there").describe("What the client is told.") }),
  setup(gateway, { text }) {
    gateway.restriction({
      name: "reject_sender_domain",
      stages: ["mail", "rcpt"],
      description: "Rejects senders of one domain.",
      args: z.tuple([z.string().toLowerCase()]),
      compile:
        ([domain]) =>
        ({ transaction }) =>
          transaction?.sender.toLowerCase().endsWith(`@${domain}`) === true ? reject(text) : undefined,
    });
  },
});
