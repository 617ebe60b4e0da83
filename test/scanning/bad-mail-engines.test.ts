// The same bad mail through real engines, all asked about each message: whatever it is, the client has an answer within the deadline, what the
// engines said stands, and nothing but a declared failure is heard of.
import access from "@postern/plugin-access";
import clamd from "@postern/plugin-av-clamd";
import milter from "@postern/plugin-milter";
import rspamd from "@postern/plugin-rspamd";
import spamassassin from "@postern/plugin-spamassassin";
import { createTestGateway, type TestGateway } from "@postern/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { talk } from "../e2e/client.ts";
import { sample, seed } from "../sampling.ts";
import { startClamavMilter } from "../services/clamav-milter.ts";
import { startClamd } from "../services/clamd.ts";
import { describeWith } from "../services/describe-with.ts";
import { eicar } from "../services/eicar.ts";
import { temporaryFolder } from "../services/folder.ts";
import { startOpendkim } from "../services/opendkim.ts";
import { startRspamd } from "../services/rspamd.ts";
import { startSpamd } from "../services/spamd.ts";
import { attachment, badMail, mutatedMail, zip } from "./corpus.ts";

const folder = temporaryFolder();
const closers: (() => unknown)[] = [() => folder[Symbol.dispose]()];
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

const deadline = "30s";
const programs = ["root", "clamd", "clamav-milter", "opendkim", "rspamd", "spamd"];

describeWith(programs, `bad mail through real engines (seed ${seed})`, () => {
  let gateway: TestGateway;

  beforeAll(async () => {
    const { path } = folder;
    const [virus, spam, filter, signer] = await Promise.all([
      startClamd({ folder: path, streamMaxBytes: 30_000_000 }),
      startSpamd({ folder: path }),
      startRspamd({ folder: path }),
      startOpendkim({ folder: path, lines: ["MaximumHeaders 0"] }),
    ]);
    const scanned = await startClamavMilter({ folder: path, clamdPort: virus.port });
    for (const service of [virus, spam, filter, signer, scanned]) closers.push(() => service.stop());
    const milters = [scanned, signer].map(({ address }) => ({ address, onError: { tooLarge: "skip" } }));
    gateway = await createTestGateway(
      { domains: { relay: ["example.test"] }, relayhost: "[127.0.0.1]:2526" },
      {
        plugins: [
          access,
          [clamd, { address: `unix:${virus.socket}`, onInfected: "reject", onError: "defer", deadline }],
          [milter, { milters }],
          [rspamd, { address: `http://127.0.0.1:${filter.port}`, onError: "defer", deadline }],
          [spamassassin, { address: `unix:${spam.socket}`, onError: { tooLarge: "skip" }, deadline }],
        ],
      },
    );
    closers.push(() => gateway.close());
  });

  /** The final reply. */
  async function hand(content: Buffer): Promise<string> {
    const client = talk(gateway.connect({ remoteAddress: "203.0.113.9" }));
    await client.reply();
    await client.say("EHLO client.test");
    await client.say("MAIL FROM:<a@source.test> BODY=8BITMIME");
    await client.say("RCPT TO:<b@example.test>");
    client.write(`BDAT ${content.length} LAST\r\n`);
    client.write(content);
    const reply = await client.reply();
    client.hangUp();
    return reply;
  }

  const failures = (): string[] => gateway.log.filter((line) => /failed \((?!tooLarge)/.test(line));

  it("one of each kind", async () => {
    const wrong: string[] = [];
    for (const { name, content } of badMail(seed, { largeBytes: sample(70_000, 2_000_000) })) {
      const reply = await hand(content);
      if (!/^(250|55[024]) /.test(reply)) wrong.push(`${name}: ${reply}`);
    }
    expect([wrong, failures()]).toEqual([[], []]);
  });

  it("damaged messages", async () => {
    const wrong: string[] = [];
    for (let index = 0; index < sample(30, 2_000); index += 1) {
      const reply = await hand(mutatedMail(seed, index));
      if (!/^(250|55[024]) /.test(reply)) wrong.push(`${index}: ${reply}`);
    }
    expect([wrong, failures()]).toEqual([[], []]);
  });

  it("and yet a virus is found", async () => {
    expect(await hand(attachment("a.zip", zip("a.com", Buffer.from(eicar))))).toMatch(/^550 5\.7\.1 infected: /);
  });
});
