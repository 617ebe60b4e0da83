// What programs over Sendmail's libmilter have in common: an address, and a SIGTERM that they look for every five seconds only.
// They have nothing to save, so they are ended by SIGKILL.
import { connect } from "node:net";
import { startService } from "./service.ts";
import type { Service, ServiceOptions } from "./service.ts";

export interface Milter extends Service {
  readonly port: number;
  /** `inet:127.0.0.1:port`, as Postfix and our plugin write it. */
  readonly address: string;
}

export async function startMilter(
  program: string,
  args: readonly string[],
  port: number,
  options: Omit<ServiceOptions, "ready">,
): Promise<Milter> {
  const service = await startService(program, args, { ...options, ready: () => listens(port) });
  return {
    ...service,
    port,
    address: `inet:127.0.0.1:${port}`,
    stop: () => service.kill(),
    [Symbol.asyncDispose]: () => service.kill(),
  };
}

/** A milter says nothing before it is asked. */
function listens(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
  });
}
