/** The transport "discard": takes everything, delivers it to nobody, and says so in the log (Postfix's discard(8)). */
import { delivered } from "../model/index.ts";
import type { Transport } from "./transport.ts";

const codeFirst = /^(2\.\d{1,3}\.\d{1,3}) +/;

export const discardTransport: Transport = Object.freeze({
  name: "discard",
  description: "Takes everything and delivers it to nobody; its next-hop is the reason for the log.",
  deliver(
    { recipients, route }: Parameters<Transport["deliver"]>[0],
    { settle }: Parameters<Transport["deliver"]>[1],
  ): ReturnType<Transport["deliver"]> {
    const enhanced = codeFirst.exec(route.nextHop)?.[1] ?? "2.0.0";
    const text = route.nextHop.replace(codeFirst, "");
    for (const recipient of recipients) settle(recipient, delivered(text, { enhanced }));
    return Promise.resolve({ destination: "alive" });
  },
  close: () => Promise.resolve(),
});
