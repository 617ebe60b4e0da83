// A gateway that takes mail for example.test from clients that XCLIENT names, and delivers none of it.
import { startGateway, type Config, type GatewayProcess } from "../e2e/gateway.ts";
import { freePort } from "../services/index.ts";

/** `plugins` come after those for access and delivery. */
export async function startReceiving({
  plugins,
  ...config
}: Config & { readonly plugins: readonly unknown[] }): Promise<GatewayProcess> {
  const port = await freePort();
  return startGateway({
    port,
    config: {
      listeners: [{ host: "127.0.0.1", port, xclient: ["127.0.0.1"] }],
      domains: { relay: { domains: ["example.test"] } },
      relayhost: "[127.0.0.1]:9",
      ...config,
      plugins: ["@postern/plugin-access", "@postern/plugin-transport-smtp", ...plugins],
    },
  });
}
