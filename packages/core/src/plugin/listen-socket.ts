/** For plugins that others ask: an address taken, on the network or as a unix socket. */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { connect, type Server } from "node:net";
import type { SocketAddress } from "../address/index.ts";

/** `mode`: of a unix socket; one that a killed process left behind is taken over. Rejects with the system's error. */
export async function listenOn(server: Server, address: SocketAddress, mode: number): Promise<void> {
  try {
    await bind(server, address, mode);
  } catch (error) {
    if (!("path" in address) || !(await isStale(address.path, error))) throw error;
    unlinkSync(address.path);
    await bind(server, address, mode);
  }
}

function bind(server: Server, address: SocketAddress, mode: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(error);
    server.once("error", failed);
    const listening = (): void => {
      server.off("error", failed);
      if ("path" in address) chmodSync(address.path, mode);
      resolve();
    };
    if (!("path" in address)) {
      server.listen(address.port, address.host, listening);
      return;
    }
    // The socket is made within the call, for nobody but us until its rights are set.
    const before = process.umask(0o177);
    try {
      server.listen(address.path, listening);
    } finally {
      process.umask(before);
    }
  });
}

/** The file is there, and nobody answers. */
function isStale(path: string, error: unknown): Promise<boolean> {
  const isInUse = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
  // What is no socket is somebody's file.
  if (!isInUse || lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", ({ code }: NodeJS.ErrnoException) => resolve(code === "ECONNREFUSED"));
  });
}
