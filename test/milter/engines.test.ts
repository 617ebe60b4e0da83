// Milters that sites run today, unmodified, behind a real Postfix and behind the gateway: the same mails get the same replies and come
// out with the same header fields and bodies. Signatures are verified by a program that has nothing to do with the signer.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { writeFileSync } from "node:fs";
import access from "@postern/plugin-access";
import milter from "@postern/plugin-milter";
import rewrite from "@postern/plugin-rewrite";
import { createSink, createTestGateway, type Sink } from "@postern/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { talk, type Client } from "../e2e/client.ts";
import { dial } from "../e2e/dialogue.ts";
import { until } from "../e2e/until.ts";
import { startClamavMilter } from "../services/clamav-milter.ts";
import { startClamd } from "../services/clamd.ts";
import { describeWith } from "../services/describe-with.ts";
import { eicar } from "../services/eicar.ts";
import { temporaryFolder } from "../services/folder.ts";
import { startKnot } from "../services/knot.ts";
import { startOpendkim, type Opendkim } from "../services/opendkim.ts";
import { freePort } from "../services/ports.ts";
import { startPostfixRelay, type Postfix } from "../services/postfix.ts";
import { startRspamd } from "../services/rspamd.ts";
import { startSpamassMilter } from "../services/spamass-milter.ts";
import { startSpamd, testSpamField } from "../services/spamd.ts";

interface Mail {
  readonly name: string;
  readonly content: string;
}

const head = ["From: Alice <alice@example.test>", "To: bob@example.test", `Date: ${new Date().toUTCString()}`];
const compose = (fields: readonly string[], body: string): string =>
  `${[...head, "Message-ID: <1@example.test>", ...fields].join("\r\n")}\r\n\r\n${body}`;

const attached = (octets: string): string =>
  [
    "--cut",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    "",
    "Gr\u00c3\u00bc\u00c3\u009fe",
    "--cut",
    'Content-Type: application/octet-stream; name="a.bin"',
    "Content-Transfer-Encoding: base64",
    "",
    Buffer.from(octets, "latin1").toString("base64"),
    "--cut--",
    "",
  ].join("\r\n");

const mixed = ["MIME-Version: 1.0", "Subject: parts", 'Content-Type: multipart/mixed; boundary="cut"'];
const mails: readonly Mail[] = [
  { name: "plain", content: compose(["Subject: hello"], "hello\r\n") },
  { name: "no body", content: compose(["Subject: nothing"], "") },
  {
    name: "folded and repeated fields",
    content: compose(["Subject: a\r\n\tb\r\n c", "X-A: 1", "X-A: 2"], "x\r\n.\r\ny\r\n"),
  },
  { name: "parts with 8-bit", content: compose(mixed, attached("harmless")) },
  { name: "EICAR", content: compose(["Subject: infected"], `${eicar}\r\n`) },
  { name: "EICAR in a part", content: compose(mixed, attached(eicar)) },
  { name: "spam", content: compose(["Subject: buy", testSpamField], "cheap\r\n") },
  { name: "a long body", content: compose(["Subject: long"], "0123456789 abcdefghij\r\n".repeat(8_000)) },
  {
    name: "fields of somebody who pretends",
    content: compose(["X-Spam-Flag: NO", "X-Virus-Status: Clean", "Subject: s"], "x\r\n"),
  },
];

/** What a client heard at the end, and what came out. */
interface Fate {
  readonly reply: string;
  readonly fields: readonly string[];
  readonly body: string;
}

const engines = ["clamav-milter", "opendkim", "spamass-milter", "rspamd", "all"] as const;
type Engine = (typeof engines)[number];

/** What differs from one message or host to the next. */
function scrub(field: string): string {
  return field
    .replace(/(\bt=|\bx=)\d+/g, "$1…")
    .replace(/(\bb=)[A-Za-z0-9+/=\s]+$/, "$1…")
    .replace(/^(X-Rspamd-Queue-Id: ).*$/i, "$1…")
    .replace(/; Mon, 23 Nov 2026 .*$/, "");
}

function fateOf(reply: string, content: Buffer | undefined): Fate {
  if (content === undefined) return { reply, fields: [], body: "" };
  const text = content.toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  const fields = text
    .slice(0, end < 0 ? undefined : end)
    .replaceAll(/\r\n[ \t]+/g, " ")
    .split("\r\n")
    .filter((field) => !/^Received: /i.test(field))
    .map(scrub);
  return { reply, fields, body: end < 0 ? "" : text.slice(end + 4) };
}

async function hand(client: Client, { content }: Mail): Promise<string> {
  await client.say("MAIL FROM:<alice@example.test> BODY=8BITMIME");
  await client.say("RCPT TO:<bob@example.test>");
  const reply = await client.data(content.replaceAll("\r\n.", "\r\n.."));
  if (!reply.startsWith("2")) await client.say("RSET");
  return reply.startsWith("2") ? "250" : reply.replace(/\b[0-9A-Za-z]{8,}$/, "…");
}

const folder = temporaryFolder();
const closers: (() => unknown)[] = [() => folder[Symbol.dispose]()];
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

const programs = [
  "root",
  "postfix",
  "clamd",
  "clamav-milter",
  "opendkim",
  "spamd",
  "spamass-milter",
  "rspamd",
  "python3",
];
describeWith(programs, "milters of today", () => {
  const addresses = new Map<Engine, readonly string[]>();
  const ports = new Map<Engine, number>();
  let signer: Opendkim;
  let sink: Sink;
  let postfix: Postfix;

  beforeAll(async () => {
    const { path } = folder;
    const [clamd, spamd, rspamd, opendkim] = await Promise.all([
      startClamd({ folder: path }),
      startSpamd({ folder: path }),
      startRspamd({ folder: path }),
      startOpendkim({ folder: path }),
    ]);
    signer = opendkim;
    const clamav = await startClamavMilter({ folder: path, clamdPort: clamd.port });
    const spamass = await startSpamassMilter({ folder: path, spamdPort: spamd.port });
    addresses.set("clamav-milter", [clamav.address]);
    addresses.set("opendkim", [opendkim.address]);
    addresses.set("spamass-milter", [spamass.address]);
    addresses.set("rspamd", [`inet:127.0.0.1:${rspamd.milterPort}`]);
    addresses.set(
      "all",
      [clamav, spamass, { address: `inet:127.0.0.1:${rspamd.milterPort}` }, opendkim].map((one) => one.address),
    );
    sink = await createSink();
    for (const engine of engines) ports.set(engine, await freePort());
    postfix = await startPostfixRelay({
      folder: path,
      relayhost: sink.nextHop,
      main: {
        myhostname: "mx.example.test",
        smtp_tls_security_level: "none",
        message_drop_headers: "",
        milter_default_action: "tempfail",
        smtpd_peername_lookup: "no",
      },
      master: [...ports].map(
        ([engine, port]) =>
          `127.0.0.1:${port} inet n - n - - smtpd -o smtpd_milters=${addresses.get(engine)?.join(",")}`,
      ),
    });
    for (const service of [clamd, spamd, rspamd, opendkim, clamav, spamass, postfix])
      closers.push(() => service.stop());
    closers.push(() => sink.close());
  });

  async function behindPostfix(engine: Engine): Promise<Map<string, Fate>> {
    const fates = new Map<string, Fate>();
    for (const mail of mails) {
      using client = await dial(ports.get(engine) ?? 0);
      await client.say("EHLO client.test");
      const before = sink.transactions.length;
      const reply = await hand(client, mail);
      await client.say("QUIT");
      if (reply === "250") await until(() => sink.transactions.length > before);
      fates.set(mail.name, fateOf(reply, sink.transactions[before]?.content));
    }
    return fates;
  }

  async function behindUs(engine: Engine): Promise<Map<string, Fate>> {
    const milters = (addresses.get(engine) ?? []).map((address) => ({ address, onError: "defer" }));
    await using gateway = await createTestGateway({}, { plugins: [access, [milter, { milters }]] });
    const fates = new Map<string, Fate>();
    let taken = 0;
    for (const mail of mails) {
      const client = talk(gateway.connect({ remoteAddress: "127.0.0.1" }));
      await client.reply();
      await client.say("EHLO client.test");
      const reply = await hand(client, mail);
      await client.say("QUIT");
      if (reply === "250") taken += 1;
      const deliveries = await gateway.delivered(taken);
      fates.set(mail.name, fateOf(reply, reply === "250" ? deliveries.at(-1)?.content : undefined));
    }
    return fates;
  }

  it.each(engines)("%s: the same replies, fields and bodies as behind Postfix", async (engine) => {
    const [real, ours] = [await behindPostfix(engine), await behindUs(engine)];
    for (const { name } of mails) expect([name, ours.get(name)]).toEqual([name, real.get(name)]);
    const refusals = [...real.values()].filter(({ reply }) => /^55[04] 5\.7\.1/.test(reply));
    expect(refusals.length > 0).toBe(engine !== "opendkim");
  });

  /** By Python's dkim, which asks nobody but us for the key. */
  function verify(message: Buffer): string {
    const file = join(folder.path, "signed.eml");
    writeFileSync(file, message);
    const script = `import sys, dkim
record = sys.argv[2].encode()
print(dkim.verify(open(sys.argv[1], "rb").read(), dnsfunc=lambda name, timeout=5: record if name == b"sel._domainkey.example.test." else None))`;
    return execFileSync("/usr/bin/python3", ["-c", script, file, signer.record], { encoding: "utf8" }).trim();
  }

  it("what leaves is what was signed: fields that we add or rewrite are there before", async () => {
    const milters = [{ address: signer.address, onError: "defer" }];
    await using gateway = await createTestGateway(
      { networks: ["127.0.0.0/8"] },
      { plugins: [access, [milter, { milters }], [rewrite, { masquerade: ["example.test"] }]] },
    );
    const client = talk(gateway.connect({ remoteAddress: "127.0.0.1" }));
    await client.reply();
    await client.say("EHLO client.test");
    await client.say("MAIL FROM:<alice@inside.example.test>");
    await client.say("RCPT TO:<bob@elsewhere.test>");
    const content = "From: Alice <alice@inside.example.test>\r\nTo: bob@elsewhere.test\r\nSubject: s\r\n\r\nhello\r\n";
    expect(await client.data(content)).toMatch(/^250 /);
    const [delivery] = await gateway.delivered(1);
    const text = delivery?.content.toString("latin1") ?? "";
    expect(text).toMatch(/^From: Alice <alice@example\.test>\r$/m);
    expect(text).toMatch(/^Message-ID: /m);
    expect(text).toMatch(/\bh=Date:[^;]*From/);
    expect(verify(delivery?.content ?? Buffer.alloc(0))).toBe("True");
    expect(verify(Buffer.from(text.replace("hello", "hallo"), "latin1"))).toBe("False");
  });

  it("signatures of others are verified, through the gateway's session", async () => {
    const zone = `sel._domainkey TXT ${(signer.record.match(/.{1,200}/g) ?? []).map((piece) => `"${piece}"`).join(" ")}`;
    await using knot = await startKnot({ folder: folder.path, zones: { "example.test": zone } });
    await using verifier = await startOpendkim({
      folder: folder.path,
      name: "verifier",
      internal: "192.0.2.99",
      dnsPort: knot.port,
    });
    const signed = async (body: string): Promise<string> => {
      const plugins = [access, [milter, { milters: [{ address: signer.address, onError: "defer" }] }]] as const;
      await using gateway = await createTestGateway({}, { plugins: [...plugins] });
      const client = talk(gateway.connect({ remoteAddress: "127.0.0.1" }));
      await client.reply();
      await client.say("EHLO client.test");
      await hand(client, { name: "", content: compose(["Subject: signed"], body) });
      const [delivery] = await gateway.delivered(1);
      return delivery?.content.toString("latin1").replace(/^Received: .*\r\n(?:[ \t].*\r\n)*/, "") ?? "";
    };
    const sound = await signed("hello\r\n");
    const milters = [{ address: verifier.address, onError: "defer" }];
    await using gateway = await createTestGateway({}, { plugins: [access, [milter, { milters }]] });
    const client = talk(gateway.connect({ remoteAddress: "127.0.0.1" }));
    await client.reply();
    await client.say("EHLO client.test");
    const results: string[] = [];
    for (const content of [sound, sound.replace("hello", "hallo"), compose(["Subject: none"], "x\r\n")]) {
      expect(await hand(client, { name: "", content })).toBe("250");
      const deliveries = await gateway.delivered(results.length + 1);
      results.push(/dkim=\w+/.exec(deliveries.at(-1)?.content.toString("latin1") ?? "")?.[0] ?? "nothing");
    }
    expect(results).toEqual(["dkim=pass", "dkim=fail", "dkim=none"]);
  });
});
