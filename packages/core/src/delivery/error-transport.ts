/** The transport "error": bounces, or defers, everything with the code and text that its next-hop says (Postfix's error(8)). */
import { bounced, deferred } from "../model/index.ts";
import type { Transport } from "./transport.ts";

const codeFirst = /^([45]\.\d{1,3}\.\d{1,3}) +/;

export const errorTransport: Transport = Object.freeze({
  name: "error",
  description: "Bounces everything with the code and text of its next-hop.",
  deliver(
    { recipients, route }: Parameters<Transport["deliver"]>[0],
    { settle }: Parameters<Transport["deliver"]>[1],
  ): ReturnType<Transport["deliver"]> {
    const enhanced = codeFirst.exec(route.nextHop)?.[1] ?? "5.0.0";
    const text = route.nextHop.replace(codeFirst, "");
    const outcome = (enhanced.startsWith("4") ? deferred : bounced)(text, { enhanced });
    for (const recipient of recipients) settle(recipient, outcome);
    return Promise.resolve({ destination: "alive" });
  },
  close: () => Promise.resolve(),
});
