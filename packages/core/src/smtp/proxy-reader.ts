/** Reads a PROXY header off a socket: bounded in octets and time, taking nothing that is behind it. */
import type { Duplex } from "node:stream";
import type { Clock } from "../model/index.ts";
import { longestProxyHeader, parseProxyHeader, type ProxiedClient } from "./proxy-header.ts";

/** A proxy sends it at once. */
const deadlineMs = 10_000;

/** Calls back once; `client` is `undefined` when the proxy speaks for itself. */
export function readProxyHeader(
  socket: Duplex,
  clock: Clock,
  done: (client: ProxiedClient | undefined, error?: Error) => void,
): void {
  let taken = Buffer.alloc(0);
  const timer = clock.setTimer(() => finish(undefined, new Error("no PROXY header in time")), deadlineMs);

  function finish(client: ProxiedClient | undefined, error?: Error): void {
    timer.cancel();
    socket.off("readable", read);
    socket.off("end", gone);
    socket.off("error", gone);
    socket.off("close", gone);
    done(client, error);
  }

  function gone(): void {
    finish(undefined, new Error("gone before its PROXY header"));
  }

  function read(): void {
    for (;;) {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      taken = Buffer.concat([taken, chunk]);
      const header = parseProxyHeader(taken);
      if (header.kind === "header") {
        if (taken.length > header.length) socket.unshift(taken.subarray(header.length));
        return finish(header.client);
      }
      if (header.kind === "invalid" || taken.length >= longestProxyHeader) {
        return finish(undefined, new Error("no valid PROXY header"));
      }
    }
  }

  socket.on("readable", read);
  socket.on("end", gone);
  socket.on("error", gone);
  socket.on("close", gone);
}
