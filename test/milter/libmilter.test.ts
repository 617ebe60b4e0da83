// A milter on the real libmilter: large packets, its death and its silence in every stage, many
// sessions at once. Nothing passes that it has not seen unless that was declared.
import milter from "@postern/plugin-milter";
import { createTestGateway, type TestGateway } from "@postern/testkit";
import { expect, test } from "vitest";
import { talk } from "../e2e/client.ts";
import { sample } from "../sampling.ts";
import { describeUnless, describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { requirePymilter, stages, startPyMilter, type PyMilter } from "../services/pymilter.ts";
import { startRspamd } from "../services/rspamd.ts";
import { undisturbed } from "../undisturbed.ts";

type Given = Readonly<Record<string, unknown>>;

function startGateway({ address }: Pick<PyMilter, "address">, given: Given = {}): Promise<TestGateway> {
  const entry = { address, name: "py", onError: "defer", ...given };
  return createTestGateway({ domains: { relay: ["example.test"] } }, { plugins: [[milter, { milters: [entry] }]] });
}

/** The reply that decided. */
async function deliver(
  gateway: TestGateway,
  remoteAddress: string,
  content = "Subject: x\r\n\r\nhello\r\n",
): Promise<string> {
  const client = talk(gateway.connect({ remoteAddress }));
  let said = await client.reply();
  for (const line of ["EHLO client.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.test>"]) {
    if (!said.startsWith("2")) break;
    said = await client.say(line);
  }
  if (said.startsWith("250")) said = await client.data(content);
  client.hangUp();
  return said;
}

// libmilter itself loses step after a session's end that is not a connection's: OpenDKIM and pymilter fail in their second session.
describeWith(["rspamd"], "connections that are kept, by a milter that knows it", () => {
  test("one serves session after session, each with its own verdict", async () => {
    using folder = temporaryFolder();
    await using rspamd = await startRspamd({ folder: folder.path });
    await using gateway = await startGateway({ address: `inet:127.0.0.1:${rspamd.milterPort}` }, { reuse: true });
    for (let count = 0; count < 10; count += 1) {
      const mark = count % 2 === 0 ? "" : "X-Test-Spam: yes\r\n";
      const content = `From: a@example.test\r\nSubject: x\r\n${mark}\r\nhello\r\n`;
      expect(await deliver(gateway, `192.0.2.${count}`, content)).toMatch(mark === "" ? /^250/ : /^554 5\.7\.1/);
    }
  });
});

describeUnless(requirePymilter(), "a milter on libmilter", () => {
  test("packets of 1 MiB, should it take them, and bodies that are larger", async () => {
    using folder = temporaryFolder();
    await using py = await startPyMilter({ folder: folder.path });
    await using gateway = await startGateway(py, { largePackets: true });
    const body = `${"x".repeat(98)}\r\n`.repeat(30_000);
    py.plan("192.0.2.1", { eom: [{ changes: [["replacebody", body.toUpperCase()]] }] });
    expect(await deliver(gateway, "192.0.2.1", `Subject: x\r\n\r\n${body}`)).toMatch(/^250/);
    const [delivery] = await gateway.delivered(1);
    expect(delivery?.content.subarray(-body.length).toString()).toBe(body.toUpperCase());
    const noted = py.notes("notes", "192.0.2.1").find(({ event }) => event === "body");
    expect(noted?.args[0] === body).toBe(true);
  });

  test.each(stages)("its process dies at %s", async (stage) => {
    using folder = temporaryFolder();
    await using py = await startPyMilter({ folder: folder.path });
    py.plan("192.0.2.1", { [stage]: ["die"] });
    await using gateway = await startGateway(py, { onError: { down: stage === "eom" ? "quarantine" : "defer" } });
    expect(await deliver(gateway, "192.0.2.1")).toMatch(stage === "eom" ? /^250/ : /^451 4\.7\.1/);
    expect(gateway.deliveries).toEqual([]);
    expect(gateway.quarantined.length).toBe(stage === "eom" ? 1 : 0);
  });

  test("stopped, it times out; when it goes on, so does the mail", async () => {
    using folder = temporaryFolder();
    await using py = await startPyMilter({ folder: folder.path });
    await using gateway = await startGateway(py, {
      commandTimeout: "500ms",
      connectTimeout: "500ms",
      contentTimeout: "500ms",
    });
    await undisturbed(async () => expect(await deliver(gateway, "192.0.2.1")).toMatch(/^250/));
    await py.pause();
    expect(await deliver(gateway, "192.0.2.2")).toMatch(/^451 4\.7\.1/);
    py.resume();
    await undisturbed(async () => expect(await deliver(gateway, "192.0.2.3")).toMatch(/^250/));
    expect(await gateway.delivered(2)).toHaveLength(2);
  });

  test("many sessions at once: every one of them gets its own answer", async () => {
    using folder = temporaryFolder();
    await using py = await startPyMilter({ folder: folder.path });
    await using gateway = await startGateway(py);
    const count = sample(200, 1_000);
    const addressOf = (index: number): string => `10.0.${index >> 8}.${index & 255}`;
    for (let index = 0; index < count; index += 3) {
      py.plan(addressOf(index), { eom: [{ reply: ["550", "5.7.1", `not ${index}`] }] });
    }
    const said = await Promise.all(Array.from({ length: count }, (_, index) => deliver(gateway, addressOf(index))));
    for (const [index, reply] of said.entries()) {
      if (index % 3 === 0) expect(reply).toBe(`550 5.7.1 not ${index}`);
      else expect(reply).toMatch(/^250 /);
    }
    expect(await gateway.delivered(said.filter((reply) => reply.startsWith("250")).length)).toBeDefined();
  });
});
