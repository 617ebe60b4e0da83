// rspamd behind the gateway: the same verdicts as its own client gets, the same mail over HTTP as through its milter, signatures that others can verify, lessons
// that it learns, and what stands when it is dead, stopped, or slow.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config, PluginDefinition } from "@postern/core";
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import milter from "@postern/plugin-milter";
// oxlint-disable-next-line import/default -- as above
import rspamd from "@postern/plugin-rspamd";
import { createTestGateway, openPlugin, testScanner, type TestGateway } from "@postern/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { findProgram, programPath, requirePrograms } from "../services/programs.ts";
import { startRedis, type Redis } from "../services/redis.ts";
import { startRspamd, type Rspamd } from "../services/rspamd.ts";
import { batch, gtube, ham, spam } from "./messages.ts";
import { send, sockets, tryStopped } from "./sending.ts";

const foldedHam = ham.replace("To: user", "To:\r\n  user").replace("From: Alice", "From:\r\n\tAlice");

/** What the messages may ask for: a verdict, changes, a new body. */
const lua = `rspamd_config:register_symbol({ name = "TEST_WISHES", type = "prefilter", callback = function(task)
  local action = task:get_header("X-Test-Action")
  if action then task:set_pre_result({ action = action, message = "as the message wishes", module = "test" }) end
end })
rspamd_config:register_symbol({ name = "TEST_CHANGES", type = "idempotent", flags = "ignore_passthrough", callback = function(task)
  local wish = task:get_header("X-Test-Change")
  if wish == "header" then
    task:set_milter_reply({
      remove_headers = { ["X-Old"] = -1, ["To"] = 1 },
      add_headers = { ["X-New"] = { value = "on top;\\n\\tfolded", order = 0 }, ["X-Last"] = { value = "v", order = -1 }, ["To"] = "undisclosed-recipients:;" },
    })
  elseif wish == "envelope" then
    task:set_milter_reply({ change_from = "new@example.net" })
  elseif wish == "body" then
    local rspamd_text = require "rspamd_text"
    local content = tostring(task:get_content())
    task:set_message(rspamd_text.fromstring((content:gsub("Shall we meet", "You must come"))))
  end
end })
`;
const withField = (field: string): string => `${field}\r\n${ham}`;
const scored = (score: number): string => withField(`X-Test-Score: ${score}`);
const wishing = (action: string): string => withField(`X-Test-Action: ${action}`);
const changing = (what: string): string => withField(`X-Test-Change: ${what}\r\nX-Old: 1\r\nX-Old: 2`);

const messages: Readonly<Record<string, string>> = {
  ...batch,
  "score 7": scored(7),
  "score 9": scored(9),
  "score 9 without a subject": scored(9).replace(/Subject: .*\r\n/, ""),
  "score 20": scored(20),
  "soft reject": wishing("soft reject"),
  reject: wishing("reject"),
  quarantine: scored(11),
  discard: scored(13),
  "another header": changing("header"),
  "another sender": changing("envelope"),
  "another body": changing("body"),
};

describeWith(["rspamd"], "rspamd", () => {
  const folder = temporaryFolder();
  let service: Rspamd;
  let redis: Redis | undefined;

  beforeAll(async () => {
    redis =
      requirePrograms("redis-server", "redis-cli") === undefined
        ? await startRedis({ folder: folder.path })
        : undefined;
    const key = join(folder.path, "dkim.key");
    writeFileSync(
      key,
      execFileSync(programPath("openssl"), ["genrsa", "-traditional", "1024"], { stdio: ["ignore", "pipe", "ignore"] }),
    );
    service = await startRspamd({
      folder: folder.path,
      lua,
      files: {
        "actions.conf":
          "add_header = 6; rewrite_subject = 8; quarantine = 10; discard = 12; reject = 15; greylist = null;",
        "dkim_signing.conf": `enabled = true; sign_authenticated = false; sign_networks = ["198.51.100.1/32"]; allow_hdrfrom_mismatch = true; use_domain = "header"; domain { "example.net" { path = "${key}"; selector = "sel"; } }`,
        ...(redis === undefined
          ? {}
          : { "classifier-bayes.conf": `backend = "redis"; servers = "127.0.0.1:${redis.port}"; min_learns = 1;` }),
      },
    });
  });
  afterAll(async () => {
    await Promise.all([service?.stop(), redis?.stop()]);
    folder[Symbol.dispose]();
  });

  function gatewayWith(
    plugin: PluginDefinition,
    options: Record<string, unknown>,
    config: Partial<Config> = {},
  ): Promise<TestGateway> {
    return createTestGateway(
      { domains: { virtualMailbox: ["example.test"] }, networks: ["198.51.100.1/32"], ...config },
      { plugins: [[plugin, options]] },
    );
  }
  const http = (): string => `http://127.0.0.1:${service.port}`;
  const open = (options: Record<string, unknown> = {}): Promise<TestGateway> =>
    gatewayWith(rspamd, { address: http(), onError: "defer", ...options });

  /** What becomes of a message: the reply, or how it was put aside, or who got it from whom and how it reads. */
  async function become(gateway: TestGateway, content: string): Promise<unknown> {
    const events = gateway.events.length;
    const reply = await send(gateway, { content });
    if (!reply.startsWith("250")) return reply;
    const aside = gateway.events.slice(events).find(({ kind }) => kind === "quarantined" || kind === "discarded");
    if (aside !== undefined) return aside.kind;
    const delivery = gateway.deliveries.at(-1);
    const text = delivery?.content.toString("latin1") ?? "";
    const [head = "", ...rest] = text.split("\r\n\r\n");
    const fields = head
      .split(/\r\n(?![ \t])/)
      .slice(1)
      .filter((field) => !field.startsWith("X-Rspamd-Queue-Id:"));
    // Tests with one score stand in no order in a result, and so do fields that go to one place.
    const own = /^(?:X-Spam|X-Rspamd|X-Last)/;
    return {
      sender: delivery?.sender,
      fields: fields.filter((field) => !own.test(field)),
      own: fields
        .filter((field) => own.test(field))
        .map((field) =>
          field
            .split(/\r\n[ \t]*/)
            .toSorted()
            .join("\n"),
        )
        .toSorted(),
      body: rest.join("\r\n\r\n"),
    };
  }

  it("gives the verdict that rspamc hears", async () => {
    await using gateway = await open({ actions: { "add header": "accept", "rewrite subject": "quarantine" } });
    const usual: Readonly<Record<string, string>> = {
      "no action": "delivered",
      "add header": "delivered",
      "rewrite subject": "quarantined",
      "soft reject": "451 4.7.1",
      reject: "554 5.7.1",
      quarantine: "quarantined",
      discard: "discarded",
    };
    const seen = new Set<string>();
    for (const [name, content] of Object.entries(messages)) {
      if (name === "another body") continue; // rspamc does not understand the answer
      const about = [
        "-i",
        "192.0.2.1",
        "-F",
        "sender@example.net",
        "-r",
        "user@example.test",
        "--helo",
        "client.example.net",
      ];
      const input = Buffer.from(content, "latin1");
      const args = ["--compact", "-j", "-h", `127.0.0.1:${service.port}`, ...about];
      const { action } = JSON.parse(execFileSync(programPath("rspamc"), args, { input }).toString()) as {
        action: string;
      };
      seen.add(action);
      const what = await become(gateway, content);
      expect(
        typeof what === "string" ? what.replace(/^(\d{3} \d\.\d\.\d) .*/, "$1") : "delivered",
        `${name}: ${action}`,
      ).toBe(usual[action]);
    }
    expect([...seen].toSorted()).toEqual(Object.keys(usual).toSorted());
  });

  it("makes the same of every message over HTTP as through its milter", async () => {
    await using direct = await open({ removeFromOutside: [] });
    await using through = await gatewayWith(milter, {
      milters: [{ address: `inet:127.0.0.1:${service.milterPort}`, onError: "defer" }],
    });
    for (const [name, content] of Object.entries(messages)) {
      // A milter is given fields, and no lines that are none: over HTTP rspamd sees more of what is wrong.
      if (name === "a line that is no field") continue;
      expect(await become(direct, content), name).toEqual(await become(through, content));
    }
    // Signatures have the time in them.
    const signed = async (gateway: TestGateway): Promise<readonly string[]> => {
      await send(gateway, { content: ham, from: "198.51.100.1" });
      const names =
        gateway.deliveries
          .at(-1)
          ?.content.toString()
          .match(/^[A-Z][\w-]*(?=:)/gm) ?? [];
      return names.filter((name) => !name.startsWith("X-"));
    };
    const names = [
      "Received",
      "DKIM-Signature",
      "Authentication-Results",
      "From",
      "To",
      "Subject",
      "Date",
      "Message-ID",
    ];
    expect([await signed(direct), await signed(through)]).toEqual([names, names]);
    // The messages have their wishes.
    expect(await become(direct, changing("body"))).toMatchObject({ body: "You must come at noon?\r\n" });
    expect(await become(direct, changing("envelope"))).toMatchObject({ sender: "new@example.net" });
    expect(await become(direct, changing("header"))).toMatchObject({
      fields: expect.arrayContaining(["X-New: on top;\r\n\tfolded", "X-Old: 1", "To: undisclosed-recipients:;"]),
    });
  });

  it("signs our own clients' mail, and others can verify it", async ({ skip }) => {
    skip(findProgram("python3") === undefined, "needs python3, which is not installed");
    await using gateway = await open();
    for (const content of [ham, foldedHam]) {
      const before = gateway.deliveries.length;
      expect(await send(gateway, { content, from: "198.51.100.1" })).toMatch(/^250/);
      const text = gateway.deliveries[before]?.content ?? Buffer.alloc(0);
      expect(text.toString("latin1").match(/^DKIM-Signature:/gm)).toHaveLength(1);
      const key = execFileSync(
        programPath("openssl"),
        ["rsa", "-in", join(folder.path, "dkim.key"), "-pubout", "-outform", "DER"],
        {
          stdio: ["ignore", "pipe", "ignore"],
        },
      ).toString("base64");
      const verify = `import dkim,sys
ok = dkim.verify(sys.stdin.buffer.read(), dnsfunc=lambda name, timeout=5: b"v=DKIM1; k=rsa; p=${key}" if name == b"sel._domainkey.example.net." else None, minkey=512)
sys.exit(0 if ok else 1)`;
      execFileSync("/usr/bin/python3", ["-c", verify], { input: text });
    }
    expect(await send(gateway, { content: ham })).toMatch(/^250/);
    expect(gateway.deliveries.at(-1)?.content.toString()).not.toContain("DKIM-Signature");
  });

  it("learns what it is taught", async ({ skip }) => {
    skip(redis === undefined, "needs redis-server, which is not installed");
    const learn = {
      controller: `http://127.0.0.1:${service.controllerPort}`,
      password: { file: "./password" },
      spam: ["spam@example.test"],
      ham: ["ham@example.test"],
    };
    writeFileSync(join(folder.path, "password"), `${service.password}\n`);
    await using gateway = await open({ learn: { ...learn, password: { file: join(folder.path, "password") } } });
    const words = (text: string): string => ham.replace("Shall we meet at noon?", text);
    const lesson = words(
      "Cheap watches and replica handbags for everybody, limited offer, order yours today without delay, guaranteed delivery worldwide",
    );
    const other = words(
      "The minutes of the committee are attached, please comment on the second paragraph before the next session of the board",
    );
    for (const [to, content] of [
      ["spam@example.test", lesson],
      ["spam@example.test", lesson],
      ["ham@example.test", other],
    ] as const) {
      expect(await send(gateway, { content, to: [to], from: "198.51.100.1" })).toMatch(/^250/);
    }
    expect(gateway.events.flatMap((event) => (event.kind === "discarded" ? [event.text] : []))).toEqual([
      "learnt as spam",
      "known as spam already",
      "learnt as ham",
    ]);
    expect(gateway.log.filter((line) => line.startsWith("warn"))).toEqual([]);
    expect(["learns_spam", "learns_ham"].map((name) => redis?.command("HGET", "RS", name).trim())).toEqual(["1", "1"]);
  });

  it("keeps the contract of scanners", async () => {
    const plugin = await openPlugin(rspamd, { address: http(), onError: "defer", maxSize: "1KB" });
    const [owned] = plugin.scanners;
    if (owned === undefined) throw new Error("no scanner");
    await testScanner(owned.scanner, {
      cases: [
        { name: "GTUBE", message: gtube, expect: "reject 554 5.7.1 Gtube pattern" },
        { name: "ham", message: ham, expect: /X-Spam-Status/ },
        { name: "large", message: ham.padEnd(1_025, "x"), expect: { fails: "tooLarge" } },
      ],
      reasons: ["tooLarge"],
      close: () => plugin.close(),
    });
  });

  it("takes 200 sessions at once", async () => {
    await using gateway = await open({ connections: 50 });
    const replies = await Promise.all(
      Array.from({ length: 200 }, (_, at) =>
        send(gateway, { content: at % 10 === 0 ? spam : ham, from: `203.0.113.${at}` }),
      ),
    );
    const refused = replies.filter((reply) => reply.startsWith("554 5.7.1 "));
    expect([refused.length, replies.filter((reply) => reply.startsWith("250")).length]).toEqual([20, 180]);
    await gateway.delivered(180);
    await expect.poll(sockets).toBe(0);
  });

  it("refuses a size, and says so", async () => {
    await using small = temporaryFolderService();
    const limited = await small.start();
    await using gateway = await gatewayWith(rspamd, {
      address: `http://127.0.0.1:${limited.port}`,
      onError: { tooLarge: "reject", error: "defer", down: "defer" },
    });
    const large = `${ham}${`${"x".repeat(70)}\r\n`.repeat(10_000)}`;
    expect(await send(gateway, { content: large })).toMatch(/^554 5\.3\.0 /);
    expect(await send(gateway, { content: ham })).toMatch(/^250/);
  });

  it("stopped it is a timeout, and who leaves is not waited for; continued it scans", async () => {
    await using gateway = await open({ deadline: "500ms", onError: { timeout: "reject" } });
    await tryStopped(gateway, service, { bad: gtube, good: ham });
  });

  it("killed it is down, before a scan and in the middle of one", async () => {
    await using gateway = await open({ address: [http(), `unix:${service.socket}`], deadline: "60s" });
    expect(await send(gateway, { content: gtube })).toBe("554 5.7.1 Gtube pattern");
    await service.pause();
    const reply = send(gateway, { content: gtube });
    await expect.poll(sockets).toBeGreaterThan(0);
    await service.kill();
    expect(await reply).toMatch(/^451 4\.3\.0 /);
    expect(await send(gateway, { content: ham })).toMatch(/^451 4\.3\.0 /);
    // For each of the two messages: the address in whose place the next one was asked, and the scanner.
    const told = gateway.log.filter((line) => line.includes("failed (down)"));
    expect(told.map((line) => line.includes(http()) && !line.includes("scanner"))).toEqual([true, false, true, false]);
    expect(gateway.deliveries).toHaveLength(0);
    await expect.poll(sockets).toBe(0);
  });
});

/** An rspamd of its own that takes no more than 100 KB. */
function temporaryFolderService() {
  const folder = temporaryFolder();
  let service: Rspamd | undefined;
  return {
    async start(): Promise<Rspamd> {
      service = await startRspamd({ folder: folder.path, options: ["max_message = 100k;"] });
      return service;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await service?.stop();
      folder[Symbol.dispose]();
    },
  };
}
