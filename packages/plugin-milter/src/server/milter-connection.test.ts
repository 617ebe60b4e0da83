// A mail server that floods, or does not listen: what it may make a connection hold.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { systemClock } from "@postern/core";
import { afterEach, expect, test } from "vitest";
import { encodeCommand } from "../protocol/index.ts";
import { MilterConnection } from "./milter-connection.ts";
import type { Answer, MilterSession } from "./milter-session.ts";

const sockets: Socket[] = [];
const connections: MilterConnection[] = [];
afterEach(() => {
  for (const one of [...sockets.splice(0), ...connections.splice(0)]) one.destroy();
});

/** A connection whose session answers so, its socket, and the mail server's. */
async function open(
  handle: () => Answer | Promise<Answer>,
  idleMs = 60_000,
): Promise<{ ours: Socket; theirs: Socket; warnings: string[] }> {
  const server = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const theirs = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [ours] = (await once(server, "connection")) as [Socket];
  server.close();
  sockets.push(ours, theirs);
  const warnings: string[] = [];
  const session = { handle, busy: true, close: () => undefined } as Partial<MilterSession> as MilterSession;
  const connection = new MilterConnection(ours, {
    clock: systemClock,
    session,
    idleMs,
    progressMs: 60_000,
    warn: (why) => void warnings.push(why),
    onEnd: () => undefined,
  });
  connections.push(connection);
  return { ours, theirs, warnings };
}

const abort = encodeCommand({ kind: "abort" });

test("packets without data wait at a price: the socket is left alone until there is an answer", async () => {
  const answer = Promise.withResolvers<Answer>();
  const all = Promise.withResolvers<void>();
  const many = 50_000;
  let heard = 0;
  const { ours, theirs } = await open(() => {
    heard += 1;
    if (heard === many) all.resolve();
    return heard === 1 ? answer.promise : { responses: [] };
  });
  const paused = once(ours, "pause");
  theirs.write(Buffer.concat(Array.from({ length: many }, () => abort)));
  await paused;
  await new Promise((resolve) => setImmediate(resolve));
  expect(ours.isPaused()).toBe(true);
  answer.resolve({ responses: [] });
  await all.promise;
});

test("one that does not take what it is told is let go", async () => {
  const octets = Buffer.alloc(60_000);
  const responses = Array.from({ length: 500 }, () => ({ kind: "replaceBody", octets }) as const);
  const { ours, theirs, warnings } = await open(() => ({ responses }), 1);
  theirs.pause();
  const closed = once(ours, "close");
  theirs.write(abort);
  await closed;
  expect(warnings).toEqual(["nothing was taken for too long"]);
});
