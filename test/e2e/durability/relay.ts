// A gateway that relays everything to one next-hop and tries again soon.
import type { Config } from "../gateway.ts";

export function relayTo(port: number, more: Config = {}): Config {
  const { queue, ...others } = more;
  return {
    networks: ["127.0.0.0/8"],
    domains: { relay: ["example.test"] },
    plugins: ["@postern/plugin-access", "@postern/plugin-transport-smtp"],
    relayhost: `[127.0.0.1]:${port}`,
    // Greylists are not what is tried here, and their syncs would be counted with the queue's.
    state: { store: "memory" },
    queue: { directory: "./queue", minBackoff: "1s", maxBackoff: "2s", ...(queue as Config | undefined) },
    ...others,
  };
}
