/** Virus scanning with ClamAV's daemon. Nothing passes unscanned unless the config entry's `onError` says so. */
import { definePlugin, parseSocketAddress, PluginError, reachAtStart } from "@postern/core";
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
    gateway.onClose(() => {
      for (const daemon of daemons) daemon.close();
    });
    const { log } = gateway;
    const { selfTest, maxSize = Infinity } = options;
    const largestBytes = Math.min(gateway.messageSizeBytes, maxSize);
    reachAtStart(
      gateway,
      daemons.map((daemon) => ({
        label: `clamd at ${daemon.name}`,
        reach: () => daemon.reach(),
        reached: (signal) => introduce(daemon, { log, largestBytes, selfTest, signal }),
      })),
    );
  },
});
