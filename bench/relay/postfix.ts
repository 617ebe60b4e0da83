/** Postfix twice: as Debian packages it, and with the settings that its own TUNING_README offers a busy relay. */
import { mkdirSync } from "node:fs";
import { startPostfixRelay, type MainSettings } from "../../test/services/postfix.ts";
import type { System } from "./run.ts";

/** Nothing here gives up durability or a check of mail: only limits, caches, and lookups that loopback has no use for. */
export const tunedSettings: MainSettings = {
  default_process_limit: "200",
  max_use: "1000",
  in_flow_delay: "0",
  smtpd_client_connection_count_limit: "0",
  smtpd_peername_lookup: "no",
  smtp_destination_concurrency_limit: "50",
  initial_destination_concurrency: "20",
  smtp_connection_cache_destinations: "$relayhost",
  smtp_connection_reuse_count_limit: "0",
  smtp_tls_security_level: "none",
  smtp_dns_support_level: "disabled",
};

export async function startPostfix(
  name: string,
  folder: string,
  sinkPort: number,
  main: MainSettings = {},
): Promise<System> {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const postfix = await startPostfixRelay({ folder, relayhost: `[127.0.0.1]:${sinkPort}`, main });
  return { name, port: postfix.port, pid: postfix.pid, stop: () => postfix.stop() };
}
