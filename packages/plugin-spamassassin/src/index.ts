/** Spam filtering with SpamAssassin's daemon: its verdict, its changes to the message, by user where users have settings of their own. */
import { definePlugin, PluginError, type Gateway } from "@postern/core";
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
    gateway.onReady(() => warnOfLargeMessages(gateway, options.maxSize));
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

/** They do not become smaller by coming again. */
function warnOfLargeMessages({ onError, messageSizeBytes, log, dry }: Gateway, maxSize: number): void {
  const policy = typeof onError === "string" ? onError : (onError?.tooLarge ?? "defer");
  if (dry || policy !== "defer" || maxSize >= messageSizeBytes) return;
  log.warn(
    `messages of more than ${maxSize} bytes are put off until their sender gives up: say in "onError" what stands for tooLarge, or lower limits.messageSize`,
  );
}
