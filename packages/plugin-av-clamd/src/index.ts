/** Virus scanning with ClamAV's daemon. Nothing passes unscanned unless the config entry's `onError` says so. */
import { definePlugin, parseSocketAddress, PluginError } from "@postern/core";
import { createClamd } from "./clamd.ts";
import { Daemon } from "./daemon.ts";
import { introduce } from "./introduce.ts";
import { options } from "./options.ts";

const defaultDeadlineMs = 30_000;
const longestPingMs = 2_000;

export default definePlugin({
  name: "av-clamd",
  apiVersion: 1,
  options,
  setup(gateway, options) {
    const { clock, hostname, deadlineMs = defaultDeadlineMs } = gateway;
    const daemons = [options.address].flat().map((name) => {
      const address = parseSocketAddress(name, gateway.directory);
      if (address === undefined) throw new PluginError(gateway.name, `no address: ${name}`);
      const pingMs = Math.min(longestPingMs, deadlineMs / 4);
      return new Daemon({ name, address, connections: options.connections, pingMs, clock });
    });
    const engine = createClamd(daemons, { ...options, hostname, deadlineMs, clock });
    gateway.scanner({
      name: gateway.name,
      get description() {
        const described = daemons.map(({ name, version }) => (version === undefined ? name : `${name} (${version})`));
        return `ClamAV at ${described.join(", ")}; infected mail: ${options.onInfected}.`;
      },
      begin: engine.begin,
      scan: engine.scan,
    });
    const closing = new AbortController();
    gateway.onReady(() => {
      if (gateway.dry) return;
      // Nobody waits for it: a clamd that hangs must not keep the gateway from starting.
      void introduce(daemons, {
        log: gateway.log,
        largestBytes: Math.min(gateway.messageSizeBytes, options.maxSize ?? Infinity),
        selfTest: options.selfTest,
        signal: closing.signal,
      });
    });
    gateway.onClose(() => {
      closing.abort();
      for (const daemon of daemons) daemon.close();
    });
  },
});
