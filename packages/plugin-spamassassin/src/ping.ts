/** Is spamd there? PING of SpamAssassin's PROTOCOL, which it answers without a look at any mail. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { ScannerFailure } from "@postern/core";
import type { Endpoint } from "./conversation.ts";

const longestAnswer = 1024;

/** Rejects with `ScannerFailure`, and when `signal` is aborted. */
export async function ping({ target }: Endpoint, signal: AbortSignal): Promise<void> {
  const socket = connect({ ...target, signal });
  // Those that nobody waits for; the others are rejections here.
  socket.on("error", () => undefined);
  try {
    await once(socket, "connect");
    socket.write("PING SPAMC/1.2\r\n\r\n");
    const answer = await lineOf(socket);
    if (!/^SPAMD\/\S+ 0 PONG\b/.test(answer)) {
      throw new ScannerFailure("error", `no answer of spamd: ${JSON.stringify(answer.slice(0, 200))}`);
    }
  } finally {
    socket.destroy();
  }
}

async function lineOf(socket: Socket): Promise<string> {
  let text = "";
  for await (const piece of socket as AsyncIterable<Buffer>) {
    text += piece.toString("latin1");
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
    if (text.length > longestAnswer) return text;
  }
  if (text === "") throw new ScannerFailure("down", "closed without an answer");
  return text;
}
