// The disk of the quarantine fills up, or the quarantine has all that it may have: what would be put aside gets 452, and its client keeps it; all
// other mail goes on.
import { join } from "node:path";
import { createSink } from "@postern/testkit";
import { describe, expect, it } from "vitest";
import { startGateway } from "../e2e/gateway.ts";
import { hand } from "../e2e/dialogue.ts";
import { until } from "../e2e/until.ts";
import { describeUnless } from "../services/describe-with.ts";
import { mountTmpfs, requireMount } from "../services/disk.ts";
import { temporaryFolder } from "../services/folder.ts";
import { isolatingGateway, postern, posternJson } from "./world.ts";

const isolated = (bytes: number): string =>
  `Subject: aside\r\nX-Isolate: ${bytes} octets\r\n\r\n${"x"
    .repeat(70)
    .concat("\r\n")
    .repeat(Math.ceil(bytes / 72))}`;

/** Puts aside until it is refused; gives that reply, and how many were taken. */
async function fill(port: number, bytes: number): Promise<{ readonly taken: number; readonly reply: string }> {
  for (let taken = 0; ; taken += 1) {
    const reply = await hand(port, { to: "one@example.test", content: isolated(bytes) });
    if (!reply.startsWith("250")) return { taken, reply };
    if (taken > 100) throw new Error("it never ends");
  }
}

async function story(folder: string, quarantine: object, bytes: number): Promise<number> {
  const sink = await createSink();
  await using gateway = await startGateway({ ...isolatingGateway(sink.nextHop, { quarantine }), folder });
  const { taken, reply } = await fill(gateway.port, bytes);
  expect(reply).toMatch(/^452 4\.3\.1 /);
  await until(() => /^warning: .*the quarantine (is full|takes no message): /m.test(gateway.log()));
  // Neither in the quarantine nor delivered.
  const listed = await posternJson<{ id: string }[]>(gateway, "quarantine", "list");
  expect(listed).toHaveLength(taken);
  expect(await hand(gateway.port, { to: "two@example.test", content: "Subject: other\r\n\r\nx\r\n" })).toMatch(/^250/);
  await until(() => sink.transactions.length === 1);
  expect(sink.transactions[0]?.content.toString()).toContain("Subject: other");
  // Partly aside is not partly taken: nobody has it.
  const both = ["good@example.test", "bad-one@example.test"];
  const split = `Subject: split\r\n\r\n${"y"
    .repeat(70)
    .concat("\r\n")
    .repeat(Math.ceil(bytes / 72))}`;
  expect(await hand(gateway.port, { to: both, content: split })).toMatch(/^452 4\.3\.1 /);
  await postern(gateway, "quarantine", "delete", ...listed.slice(0, 2).map(({ id }) => id));
  // Room on the disk comes with the next segment; that of `maxSize` at once.
  await until(async () => (await hand(gateway.port, { to: both, content: split })).startsWith("250"));
  await until(() => sink.transactions.length === 2);
  expect(sink.transactions[1]?.rcpt).toEqual([expect.stringContaining("good@")]);
  await sink.close();
  return taken;
}

describe("a quarantine that is full", () => {
  it("by quarantine.maxSize", async () => {
    using folder = temporaryFolder();
    expect(await story(folder.path, { maxSize: "1MB" }, 200_000)).toBe(5);
  });
});

describeUnless(requireMount(), "a quarantine whose disk is full", () => {
  it("452 for what would be put aside, and for nothing else", async () => {
    using folder = temporaryFolder();
    using disk = mountTmpfs(folder.path, "40m");
    // Large enough for files of their own, whose room is back when they are deleted.
    const taken = await story(folder.path, { directory: join(disk.path, "quarantine"), minFree: "8MB" }, 5_000_000);
    expect(taken).toBeGreaterThan(2);
  });
});
