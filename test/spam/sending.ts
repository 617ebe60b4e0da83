// Mail through a gateway in memory, and what its scans leave open.
import { smtp, type TestGateway } from "@postern/testkit";
import { expect } from "vitest";
import type { Service } from "../services/service.ts";

export interface Sending {
  readonly content: string;
  readonly to?: readonly string[];
  readonly from?: string;
}

/** The reply to the final dot, when what was taken has been delivered. `content` in latin1. */
export async function send(gateway: TestGateway, sending: Sending): Promise<string> {
  const { content, to = ["user@example.test"], from = "192.0.2.1" } = sending;
  const before = gateway.deliveries.length;
  const aside = (): number =>
    gateway.events.filter(({ kind }) => kind === "quarantined" || kind === "discarded").length;
  const asideBefore = aside();
  const dialogue = smtp(gateway, { remoteAddress: from }).say("MAIL FROM:<sender@example.net>");
  for (const recipient of to) dialogue.say(`RCPT TO:<${recipient}>`).expect(/^250/);
  const stuffed = content.replaceAll(/^\./gm, "..");
  const end = stuffed.endsWith("\r\n") ? ".\r\n" : "\r\n.\r\n";
  const reply = await dialogue
    .say("DATA")
    .raw(Buffer.from(`${stuffed}${end}`, "latin1"))
    .read();
  if (reply.startsWith("250") && aside() === asideBefore) await gateway.delivered(before + 1);
  return reply;
}

function wraps(): number {
  return process.getActiveResourcesInfo().filter((name) => /^(?:TCPSocket|TCPConnect|Pipe|PipeConnect)Wrap$/.test(name))
    .length;
}

/** The pipes that the test runner has. */
const ofTheRunner = wraps();

/** Connections of this process; sessions in memory are none. */
export function sockets(): number {
  return wraps() - ofTheRunner;
}

/** Stopped it is a timeout, which the gateway refuses, and who leaves is not waited for; continued it scans. */
export async function tryStopped(
  gateway: TestGateway,
  service: Service,
  { bad, good }: { readonly bad: string; readonly good: string },
): Promise<void> {
  await service.pause();
  try {
    expect(await send(gateway, { content: bad })).toMatch(/^554 5\.3\.0 /);
    await smtp(gateway)
      .say("MAIL FROM:<a@example.net>")
      .say("RCPT TO:<user@example.test>")
      .say("DATA")
      .raw(`${bad}.\r\n`)
      .hangUp();
    await expect.poll(sockets).toBe(0);
  } finally {
    service.resume();
  }
  await expect.poll(() => send(gateway, { content: good })).toMatch(/^250/);
  expect(gateway.deliveries).toHaveLength(1);
}
