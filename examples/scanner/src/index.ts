/** The plugin: options, and the scanner that it registers. */
import {
  definePlugin,
  EngineServers,
  parseSocketAddress,
  PluginError,
  serviceAddresses,
  size,
  Slots,
  warnOfLargeMessages,
} from "@postern/core";
import { z } from "zod";
import { askDaemon } from "./daemon-client.ts";
import { createFingerprints } from "./fingerprints.ts";

export const options = z.strictObject({
  address: serviceAddresses(parseSocketAddress, '"tcp:127.0.0.1:4711" or "unix:/run/fingerprints.sock"')
    .default("127.0.0.1:4711")
    .describe(
      "Where the daemon listens: `tcp:host:port` or `unix:path`. Of a list the next is asked when one is down.",
    ),
  connections: z.int().min(1).max(1_000).default(20).describe("Questions at once; others wait."),
  onKnown: z
    .enum(["reject", "quarantine", "tag"])
    .default("reject")
    .describe("What becomes of a message that is known."),
  exempt: z.array(z.string()).default([]).describe("Recipients who get it all the same, such as abuse@example.test."),
  maxSize: size().default("10MB").describe("Larger messages fail as tooLarge."),
});
export type Options = z.output<typeof options>;

export default definePlugin({
  name: "fingerprints",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    const daemons = [given.address].flat().map((label) => {
      const target = parseSocketAddress(label, gateway.directory);
      if (target === undefined) throw new PluginError(gateway.name, `no address: ${label}`);
      return { label, target };
    });
    const slots = new Slots(given.connections);
    const inTurn = new EngineServers(daemons, { clock: gateway.clock });
    gateway.onReady(() => warnOfLargeMessages(gateway, given.maxSize));
    gateway.scanner({
      // `as` gives each instance its own.
      name: gateway.name,
      description: `Asks ${daemons.map(({ label }) => label).join(", ")} whether a message is known.`,
      ...createFingerprints(given, (fingerprint, signal) =>
        slots.run(signal, () => inTurn.ask(signal, (daemon) => askDaemon(daemon, fingerprint, signal))),
      ),
    });
  },
});
