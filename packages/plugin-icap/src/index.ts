/** `@postern/plugin-icap`: scanning by an ICAP service (RFC 3507). Nothing passes unscanned unless the entry's `onError` says so. */
import { definePlugin, PluginError, reachAtStart, warnOfLargeMessages } from "@postern/core";
import { parseAddress } from "./address.ts";
import { createEngine } from "./engine.ts";
import { revealHeaders } from "./further-headers.ts";
import { options } from "./options.ts";

export default definePlugin({
  name: "icap",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    const { name, hostname, directory, clock } = gateway;
    const addresses = [given.address].flat().map((text) => {
      const address = parseAddress(text);
      if (address === undefined) throw new PluginError(name, `no address: ${text}`);
      return address;
    });
    const failed = (point: string, error: unknown): void => gateway.failed(point, error);
    const headers = revealHeaders(given.headers, directory);
    const engine = createEngine(addresses, { ...given, headers }, { hostname, clock, failed });
    gateway.scanner({
      name,
      description: `ICAP at ${addresses.map(({ uri }) => uri).join(", ")}; infected mail: ${given.onInfected}.`,
      scan: (ask) => engine.scan(ask),
    });
    gateway.onReady(() => warnOfLargeMessages(gateway, given.maxSize));
    gateway.onClose(() => engine.close());
    // What a service says of itself is wanted in any case.
    reachAtStart(
      gateway,
      engine.servers.map((server) => ({ label: `ICAP at ${server.address.uri}`, reach: () => server.options() })),
    );
  },
});
