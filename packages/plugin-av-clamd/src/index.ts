/** Virus scanning with ClamAV's daemon. Nothing passes unscanned unless the config entry's `onError` says so. */
import { definePlugin, PluginError } from "@postern/core";
import { parseAddress } from "./address.ts";
import { createClamd } from "./clamd.ts";
import { options } from "./options.ts";

export default definePlugin({
  name: "av-clamd",
  apiVersion: 1,
  options,
  setup(gateway, options) {
    const address = parseAddress(options.address, gateway.directory);
    if (address === undefined) throw new PluginError(gateway.name, `no address: ${options.address}`);
    gateway.scanner({
      name: gateway.name,
      description: `ClamAV at ${options.address}; infected mail: ${options.onInfected}.`,
      scan: createClamd(address, options, gateway.clock),
    });
  },
});
