/** Rewriting of addresses: canonical, masquerade, blind copies, virtual aliases, generic, relocated. */
import { definePlugin } from "@postern/core";
import { options } from "./options.ts";
import { createRewriting } from "./rewriter.ts";

export default definePlugin({
  name: "rewrite",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    const { rewriter, check } = createRewriting(given, {
      recipientDelimiter: gateway.recipientDelimiter,
      addresses: gateway.addresses,
      use: (spec) => gateway.tables.use(spec),
      warn: (text) => gateway.log.warn(text),
    });
    gateway.rewriter(rewriter);
    gateway.onReady(check);
  },
});
