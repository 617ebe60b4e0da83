// TCP ports for services that must be told theirs. They lie below the kernel's ephemeral range, so that no outgoing
// connection takes one between our asking and the service's binding.
import { randomInt } from "node:crypto";
import { connect, createServer } from "node:net";

const LOWEST = 10_240;
const HIGHEST = 32_000;
const TRIES = 200;

/** Files run side by side, in so many workers at most: each has its own ports, for there is a while between our asking and the binding. */
const WORKERS = 8;
const worker = Number(process.env.VITEST_POOL_ID ?? 0) % WORKERS;

const given = new Set<number>();

/** A port on 127.0.0.1 that is free now; never the same one twice in one process. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const port = WORKERS * randomInt(LOWEST / WORKERS, HIGHEST / WORKERS) + worker;
    if (given.has(port) || !(await canBind(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port found in ${TRIES} tries`);
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Sends `request` to a TCP port or a unix socket and gives what comes back first; rejects on any trouble. */
export function ask(
  address: number | string,
  request: string,
  timeoutMs = 30_000,
  host = "127.0.0.1",
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = typeof address === "number" ? connect(address, host) : connect(address);
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs} ms`)));
    socket.once("error", fail);
    socket.once("close", () => reject(new Error("closed without an answer")));
    socket.once("data", (data: Buffer) => {
      resolve(data.toString("latin1"));
      socket.destroy();
    });
    socket.write(request);
  });
}
