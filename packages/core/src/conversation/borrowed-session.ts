/** What a listener and a generation are to a session that another mail server has. */
import type { ListenerSettings, SessionGeneration } from "../smtp/index.ts";

export function settingsOf(name: string): ListenerSettings {
  return {
    name,
    host: "",
    port: 0,
    xclient: [],
    proxy: [],
    lineEndings: "reject",
    banner: "",
    tls: "off",
  };
}

/** How many a client may do of what is for its own mail server to say. */
export function withoutLimits(generation: SessionGeneration): SessionGeneration {
  const { settings } = generation;
  const limits = {
    ...settings.limits,
    recipients: Infinity,
    hops: Infinity,
    errors: Infinity,
    junkCommands: Infinity,
    commandTimeoutMs: Infinity,
  };
  return { ...generation, settings: { ...settings, limits }, rewriter: undefined, resolver: undefined };
}
