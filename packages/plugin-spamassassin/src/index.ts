/** Spam filtering with SpamAssassin's daemon: its verdict, its changes to the message, by user where users have settings of their own. */
import { definePlugin, PluginError } from "@postern/core";
import { parseAddress } from "./address.ts";
import { namePattern } from "./name-pattern.ts";
import { options } from "./options.ts";
import { createServers } from "./servers.ts";
import { createSpamAssassin } from "./spamassassin.ts";

export default definePlugin({
  name: "spamassassin",
  apiVersion: 1,
  options,
  setup(gateway, options) {
    const addresses = typeof options.address === "string" ? [options.address] : options.address;
    const endpoints = addresses.map((address) => {
      const endpoint = parseAddress(address, gateway.directory);
      if (endpoint === undefined) throw new PluginError(gateway.name, `no address: ${address}`);
      return endpoint;
    });
    gateway.scanner({
      name: gateway.name,
      description: `SpamAssassin at ${addresses.join(", ")}; spam: ${options.onSpam}.`,
      scan: createSpamAssassin(
        {
          servers: createServers(endpoints, gateway.clock),
          options,
          unwanted: options.removeFromOutside.map(namePattern),
          clock: gateway.clock,
          hostname: gateway.hostname,
        },
        options,
      ),
    });
  },
});
