// SpamAssassin behind the gateway: the same verdicts and the same mail as its own client spamc gets from the same spamd, users with settings of their own,
// and what stands when it is dead, stopped, or slow.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "@postern/core";
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import spamassassin from "@postern/plugin-spamassassin";
import { createTestGateway, openPlugin, testScanner, type TestGateway } from "@postern/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { programPath } from "../services/programs.ts";
import { startSpamd, type Spamd } from "../services/spamd.ts";
import { batch, ham, spam } from "./messages.ts";
import { send, sockets, tryStopped } from "./sending.ts";

describeWith(["spamd", "spamc"], "SpamAssassin", () => {
  const folder = temporaryFolder();
  const wrapping = temporaryFolder();
  let spamd: Spamd;
  /** It wraps spam up in a report. */
  let wrapper: Spamd;

  beforeAll(async () => {
    const users = join(folder.path, "users");
    const rules = join(wrapping.path, "rules");
    mkdirSync(rules);
    writeFileSync(join(rules, "rules.cf"), "header FROM exists:From\nscore FROM 0.1\n");
    for (const [name, required] of Object.entries({ strict: 5, lenient: 100 })) {
      mkdirSync(join(users, name), { recursive: true });
      writeFileSync(join(users, name, "user_prefs"), `required_score ${required}\n`);
    }
    [spamd, wrapper] = await Promise.all([
      startSpamd({
        folder: folder.path,
        lines: ["rewrite_header Subject *SPAM*"],
        args: [`--virtual-config-dir=${users}/%u`],
      }),
      // Without the packaged rules a scan takes a tenth of the time.
      startSpamd({ folder: wrapping.path, lines: ["report_safe 1"], args: [`--configpath=${rules}`] }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([spamd?.stop(), wrapper?.stop()]);
    folder[Symbol.dispose]();
    wrapping[Symbol.dispose]();
  });

  function open(options: Record<string, unknown> = {}, config: Partial<Config> = {}): Promise<TestGateway> {
    return createTestGateway(
      { domains: { virtualMailbox: ["example.test"] }, ...config },
      { plugins: [[spamassassin, { address: `unix:${spamd.socket}`, onError: "defer", ...options }]] },
    );
  }

  /** The gateway's own, which stands on top. */
  const receivedOf = (delivered: string): string => /^Received:.*\r\n(?:[ \t].*\r\n)*/m.exec(delivered)?.[0] ?? "";

  /** What spamc makes of the message below the Received field that the gateway gave it. */
  function spamc({ port }: Spamd, delivered: string, content: string): string {
    const received = receivedOf(delivered);
    // A message without a header section gets one from the gateway.
    const input = Buffer.from(`${received}${/^[ \t]/.test(content) ? "\r\n" : ""}${content}`, "latin1");
    return execFileSync(programPath("spamc"), ["-d", "127.0.0.1", "-p", String(port)], { input }).toString("latin1");
  }

  /** Reports list their tests in no order, boundaries have the time in them, and two Received fields may come a second apart. */
  function comparable(content: string): readonly string[] {
    const lines = content
      .replace(/----------=_[0-9A-F.]+/g, "BOUNDARY")
      .replace(/(;\s+)\w{3}, [ \d]?\d \w{3} \d{4} [\d:]{8} [+-]\d{4}/g, "$1TIME")
      .split("\r\n");
    return lines.map((line) => line.trimEnd()).toSorted();
  }

  describe.each(["headers", "message"])("mode %s", (mode) => {
    it("makes the same of every message as spamc", async () => {
      await using gateway = await open({ mode, removeFromOutside: [] });
      for (const [name, content] of Object.entries(batch)) {
        expect(await send(gateway, { content }), name).toMatch(/^250/);
        const delivered = gateway.deliveries.at(-1)?.content.toString("latin1") ?? "";
        const expected = spamc(spamd, delivered, content).replace(receivedOf(delivered), "");
        expect(comparable(delivered.replace(receivedOf(delivered), "")), name).toEqual(comparable(expected));
        // All but the report stand where spamc has them, octet for octet.
        const part = (text: string): string => text.replace(/^X-Spam-Report:.*\r\n(?:[ \t].*\r\n)*/m, "");
        expect(part(delivered.replace(receivedOf(delivered), "")), name).toBe(part(expected));
      }
    });

    it("wraps spam up in a report as spamc does", async () => {
      await using gateway = await open({ mode, address: `tcp:127.0.0.1:${wrapper.port}`, removeFromOutside: [] });
      for (const content of [ham, spam]) {
        expect(await send(gateway, { content })).toMatch(/^250/);
        const delivered = gateway.deliveries.at(-1)?.content.toString("latin1") ?? "";
        const received = receivedOf(delivered);
        const made = spamc(wrapper, delivered, content);
        // The report is a message of its own; the gateway's field stands above it, and within it above the original.
        const expected = made.startsWith("Received: from localhost ")
          ? received + made
          : received + made.replace(received, "");
        expect(comparable(delivered)).toEqual(comparable(expected));
      }
      expect(gateway.deliveries[1]?.content.toString()).toContain("Content-Type: message/rfc822");
    });
  });

  it("the score alone is told in fields of our own", async () => {
    await using gateway = await open({ mode: "check", onSpam: "quarantine" });
    expect(await send(gateway, { content: ham })).toMatch(/^250/);
    expect(gateway.deliveries[0]?.content.toString()).toMatch(
      /^X-Spam-Status: No, score=-?\d+\.\d required=5\.0 tests=\w+/m,
    );
    expect(await send(gateway, { content: spam })).toMatch(/^250/);
    expect(gateway.events.find(({ kind }) => kind === "quarantined")).toMatchObject({
      reason: expect.stringMatching(/^spam: 5\d(?:\.\d)? of 5$/),
    });
    await using strict = await open({ rejectScore: 40 });
    expect(await send(strict, { content: spam })).toBe("550 5.7.1 Spam message rejected");
  });

  it("users have settings of their own", async () => {
    const options = { user: "%u", perRecipient: true, onSpam: "reject" };
    await using gateway = await open(options, { policy: { mixed: "discard" } });
    const [strict, lenient] = ["strict@example.test", "lenient@example.test"];
    expect(await send(gateway, { content: spam, to: [strict] })).toMatch(/^550 5\.7\.1 /);
    expect(await send(gateway, { content: spam, to: [lenient, strict] })).toMatch(/^250/);
    const deliveries = await gateway.delivered(1);
    expect(deliveries.map(({ recipients }) => recipients)).toEqual([[lenient]]);
    expect(gateway.deliveries[0]?.content.toString()).toContain("X-Spam-Status: No, ");
  });

  it("keeps the contract of scanners", async () => {
    const options = { address: `tcp:127.0.0.1:${wrapper.port}`, onError: "defer", mode: "check", maxSize: "1KB" };
    const plugin = await openPlugin(spamassassin, { ...options, onSpam: "reject" });
    const [owned] = plugin.scanners;
    if (owned === undefined) throw new Error("no scanner");
    await testScanner(owned.scanner, {
      cases: [
        { name: "spam", message: spam, expect: "reject 550 5.7.1 Spam message rejected" },
        { name: "ham", message: ham, expect: /X-Spam-Status/ },
        { name: "large", message: ham.padEnd(1_025, "x"), expect: { fails: "tooLarge" } },
      ],
      reasons: ["tooLarge"],
      close: () => plugin.close(),
    });
  });

  it("200 sessions at once, on the two children of one spamd", async () => {
    await using gateway = await open({ address: `unix:${wrapper.socket}`, connections: 4, deadline: "60s" });
    const replies = await Promise.all(
      Array.from({ length: 200 }, (_, at) =>
        send(gateway, { content: at % 10 === 0 ? spam : ham, from: `198.51.100.${at}` }),
      ),
    );
    expect(replies.filter((reply) => !reply.startsWith("250"))).toEqual([]);
    await gateway.delivered(200);
    const flagged = gateway.deliveries.filter(({ content }) => content.includes("x-spam-type=original"));
    expect([gateway.deliveries.length, flagged.length]).toEqual([200, 20]);
    await expect.poll(sockets).toBe(0);
  });

  it("stopped it is a timeout, and who leaves is not waited for; continued it scans", async () => {
    await using gateway = await open({ deadline: "500ms", onError: { timeout: "reject" } });
    await tryStopped(gateway, spamd, { bad: spam, good: ham });
  });

  it("killed it is down, before a scan and in the middle of one; another one is asked", async () => {
    await using gateway = await open({ deadline: "60s" });
    await using both = await open({
      address: [`unix:${spamd.socket}`, `tcp:127.0.0.1:${wrapper.port}`],
      mode: "check",
    });
    await spamd.pause();
    const reply = send(gateway, { content: spam });
    await expect.poll(sockets).toBeGreaterThan(0);
    await spamd.kill();
    expect(await reply).toMatch(/^451 4\.3\.0 /);
    expect(await send(gateway, { content: ham })).toMatch(/^451 4\.3\.0 /);
    expect(gateway.log.filter((line) => line.includes("failed (down)"))).toHaveLength(2);
    expect(await send(both, { content: ham })).toMatch(/^250/);
    expect(gateway.deliveries).toHaveLength(0);
    await expect.poll(sockets).toBe(0);
  });
});
