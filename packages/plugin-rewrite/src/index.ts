/** Rewriting of envelopes: virtual aliases. */
import { definePlugin } from "@postern/core";
import { options } from "./options.ts";
import { createVirtualAliases } from "./virtual-aliases.ts";

export default definePlugin({
  name: "rewrite",
  apiVersion: 1,
  options,
  setup(gateway, { virtualAliases, propagateExtensions }) {
    if (virtualAliases.length === 0) return;
    const tables = virtualAliases.map((spec) => gateway.tables.use(spec));
    const aliases = createVirtualAliases(tables, {
      recipientDelimiter: gateway.recipientDelimiter,
      addresses: gateway.addresses,
      propagateExtensions,
    });
    gateway.rewriter(aliases);
    gateway.onReady(() => aliases.check());
  },
});
