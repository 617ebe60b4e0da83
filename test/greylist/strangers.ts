// Gateways that greylist, and strangers who come and come back.
import { dial } from "../e2e/dialogue.ts";
import { startGateway, type GatewayOptions, type GatewayProcess } from "../e2e/gateway.ts";

export interface GreylistingOptions extends GatewayOptions {
  /** Of the greylist, beside a delay of one second. */
  readonly greylist?: Readonly<Record<string, unknown>>;
  /** More plugins, after it. */
  readonly plugins?: readonly unknown[];
}

/** Everybody is a stranger to it but who comes from 192.0.2.0/24; XCLIENT says who comes. */
export function startGreylisting(options: GreylistingOptions = {}): Promise<GatewayProcess> {
  const { greylist = {}, plugins = [], config = {}, ...rest } = options;
  const port = options.port;
  return startGateway({
    ...rest,
    config: {
      networks: ["192.0.2.0/24"],
      domains: { relay: ["example.test"] },
      plugins: [
        "@postern/plugin-access",
        "@postern/plugin-transport-smtp",
        ["@postern/plugin-greylist", { delay: "1s", ...greylist }],
        ...plugins,
      ],
      policy: { rcpt: ["reject_unauth_destination", "greylist"] },
      // Nothing is delivered here.
      relayhost: "[127.0.0.1]:1",
      ...(port !== undefined && { listeners: [{ host: "127.0.0.1", port }] }),
      ...config,
    },
  });
}

/** One attempt of a sender; the reply to RCPT. */
export async function attempt(port: number, sender: string, recipient = "user@example.test"): Promise<string> {
  using smtp = await dial(port);
  await smtp.say("EHLO client.test");
  await smtp.say(`MAIL FROM:<${sender}>`);
  const reply = await smtp.say(`RCPT TO:<${recipient}>`);
  smtp.write("QUIT\r\n");
  return reply;
}

export const putOff = "450 4.7.1 Greylisted, try again later";
/** What `onError: "defer"` makes of a store that cannot be asked. */
export const lostStore = /^451 4\.3\./;
