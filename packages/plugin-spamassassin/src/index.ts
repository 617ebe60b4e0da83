/** Spam filtering with SpamAssassin's daemon: its verdict, its changes to the message, by user where users have settings of their own. */
import {
  definePlugin,
  EngineServers,
  namePattern,
  parseSocketAddress,
  PluginError,
  reachAtStart,
  warnOfLargeMessages,
} from "@postern/core";
import { ping } from "./ping.ts";
import { options } from "./options.ts";
import { createSpamAssassin } from "./spamassassin.ts";

export default definePlugin({
  name: "spamassassin",
  apiVersion: 1,
  options,
  setup(gateway, options) {
    gateway.onReady(() => warnOfLargeMessages(gateway, options.maxSize));
    const addresses = [options.address].flat();
    const endpoints = addresses.map((label) => {
      const target = parseSocketAddress(label, gateway.directory);
      if (target === undefined) throw new PluginError(gateway.name, `no address: ${label}`);
      return { label, target };
    });
    gateway.scanner({
      name: gateway.name,
      description: `SpamAssassin at ${addresses.join(", ")}; spam: ${options.onSpam}.`,
      scan: createSpamAssassin(
        {
          servers: new EngineServers(endpoints, {
            clock: gateway.clock,
            passedOver: ({ label }, failure) => gateway.failed(label, failure),
          }),
          options,
          unwanted: options.removeFromOutside.map(namePattern),
          clock: gateway.clock,
          hostname: gateway.hostname,
        },
        options,
      ),
    });
    reachAtStart(
      gateway,
      endpoints.map((endpoint) => ({ label: `spamd at ${endpoint.label}`, reach: (signal) => ping(endpoint, signal) })),
    );
  },
});
