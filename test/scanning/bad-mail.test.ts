// Bad mail: whatever it is, those who look into it have an answer in bounded time and memory, and sound mail has the parts that others see.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  createFileBlob,
  createMemoryBlob,
  createMessage,
  definePlugin,
  MimeAmbiguity,
  MimeLimit,
  openMessage,
  walkParts,
  type Message,
} from "@postern/core";
import checks from "@postern/plugin-checks";
import files from "@postern/plugin-maps-file";
import access from "@postern/plugin-access";
import { createTestGateway } from "@postern/testkit";
import { z } from "zod";
import { afterAll, describe, expect, it } from "vitest";
import { talk } from "../e2e/client.ts";
import { isLong, sample, seed } from "../sampling.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { heldBytes } from "../held-memory.ts";
import { badMail, mutatedMail, soundMail } from "./corpus.ts";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

/** Every part, every octet decoded; or the limit that stopped it. */
async function walk(message: Message, onPiece: () => void = () => undefined): Promise<string> {
  let parts = 0;
  try {
    for await (const part of walkParts(message)) {
      parts += 1;
      void part.fileName;
      if (part.kind !== "leaf") continue;
      for await (const piece of part.decoded()) if (piece.length > 0) onPiece();
    }
    return `${parts} parts`;
  } catch (error) {
    if (error instanceof MimeLimit) return error.limit;
    if (error instanceof MimeAmbiguity) return "ambiguous";
    throw error;
  }
}

const tables = {
  headerChecks: [{ type: "pcre", rules: ["/^Subject:.*offer/ WARN", "/^X-[0-9]+:/ IGNORE", "/^X-Long: y+$/ STRIP"] }],
  bodyChecks: [{ type: "pcre", rules: ["/^x$/ IGNORE", "/meeting/ REPLACE [gone]", "/(a+)+b$/ INFO"] }],
};

describe("the corpus", () => {
  const largeBytes = isLong ? 20_000_000 : 2_000_000;
  const corpus = badMail(seed, { largeBytes });

  it.each(corpus)("$name: from a file, in bounded memory", async ({ name, content }) => {
    const path = join(folder.path, "mail");
    writeFileSync(path, content);
    const large = content.length > 100_000;
    const before = large ? heldBytes() : 0;
    const message = await openMessage(createFileBlob(path, content.length));
    let most = 0;
    let pieces = 0;
    const told = await walk(message, () => {
      if (large && pieces++ % 3_000 === 0) most = Math.max(most, heldBytes());
    });
    if (large) most = Math.max(most, heldBytes());
    expect(told).toMatch(/^\d+ parts$|^(ambiguous|depth|parts|partHeaderBytes|headerBytes|boundaryBytes)$/);
    // Beside the header that is held: parts' headers up to their limit, ten thousand parts' places.
    expect([name, (most - before) / 1e6 < 40]).toEqual([name, true]);
  });

  it("goes through a gateway with checks and a walk, and the gateway has an answer to all of it", async () => {
    const walker = definePlugin({
      name: "walker",
      apiVersion: 1,
      options: z.strictObject({}),
      setup(gateway) {
        gateway.scanner({
          name: "walker",
          description: "Looks at every part.",
          onError: { unscannable: "reject", error: "defer" },
          scan: async ({ message }) => {
            for await (const part of walkParts(message)) for await (const piece of part.decoded()) void piece;
            return undefined;
          },
        });
      },
    });
    await using gateway = await createTestGateway(
      { domains: { relay: ["example.test"] }, relayhost: "[127.0.0.1]:2526" },
      { plugins: [access, files, walker, [checks, { ...tables, onError: { unscannable: "reject" } }]] },
    );
    const answers = new Map<string, string>();
    for (const { name, content } of badMail(seed, { largeBytes: 500_000 })) {
      const client = talk(gateway.connect({ remoteAddress: "203.0.113.9" }));
      await client.reply();
      await client.say("EHLO client.test");
      await client.say("MAIL FROM:<a@source.test>");
      await client.say("RCPT TO:<b@example.test>");
      client.write(`BDAT ${content.length} LAST\r\n`);
      client.write(content);
      answers.set(name, await client.reply());
      client.hangUp();
    }
    const wrong = [...answers].filter(([, reply]) => !/^(250|55[0-9]|451) /.test(reply));
    expect(wrong).toEqual([]);
    expect(answers.get("thousands of parts")).toMatch(/^554 5\.3\.0 /);
    expect(answers.get("a zip bomb")).toMatch(/^250 /);
    expect(answers.get("lone CR")).toMatch(/^550 5\.5\.2 /);
    // Every refusal for now is one that was asked for; none is a plugin that stumbled.
    const stumbled = gateway.log.filter((line) => /^(error|warn) .*failed \((?!unscannable)/.test(line));
    expect(stumbled).toEqual([]);
  });
});

describe(`mutations (seed ${seed})`, () => {
  const count = sample(600, 10_000);

  it(`${count} damaged messages are walked to their end`, async () => {
    const told = new Map<string, number>();
    for (let index = 0; index < count; index += 1) {
      const content = mutatedMail(seed, index);
      const said = await walk(createMessage(createMemoryBlob([content])));
      told.set(said, (told.get(said) ?? 0) + 1);
    }
    // Most are still messages of several parts.
    expect([...told.entries()].filter(([said]) => !/^[01] parts$/.test(said)).length).toBeGreaterThan(5);
  });

  it(`${count} damaged messages are checked, changed, and still sound`, async () => {
    await using gateway = await createTestGateway(
      {
        domains: { relay: ["example.test"] },
        relayhost: "[127.0.0.1]:2526",
        listeners: [{ name: "test", host: "127.0.0.1", port: 25, lineEndings: "normalize" }],
      },
      { plugins: [access, files, [checks, { ...tables, onError: "defer" }]] },
    );
    const replies = new Map<string, number>();
    let client = talk(gateway.connect({ remoteAddress: "203.0.113.9" }));
    for (let index = 0; index < count; index += 1) {
      if (index % 10 === 0) {
        client.hangUp();
        client = talk(gateway.connect({ remoteAddress: "203.0.113.9" }));
        await client.reply();
        await client.say("EHLO client.test");
      }
      const content = mutatedMail(seed, index);
      await client.say("MAIL FROM:<a@source.test>");
      await client.say("RCPT TO:<b@example.test>");
      client.write(`BDAT ${content.length} LAST\r\n`);
      client.write(content);
      const code = (await client.reply()).slice(0, 9);
      replies.set(code, (replies.get(code) ?? 0) + 1);
    }
    client.hangUp();
    expect([...replies.keys()].filter((code) => !/^(250 2\.0\.0|550 5\.6\.0)$/.test(code))).toEqual([]);
    expect(replies.get("250 2.0.0")).toBeGreaterThan(count / 3);
    for (const { content } of gateway.deliveries) {
      const text = content.toString("latin1");
      expect(/\r(?!\n)|(?<!\r)\n/.test(text)).toBe(false);
    }
  });
});

describeWith(["python3"], `Python's email package (seed ${seed})`, () => {
  it("sees the same leaf parts, with the same octets in them", async () => {
    const count = sample(400, 5_000);
    const mails = Array.from({ length: count }, (_, index) => soundMail(seed, index));
    const batch = join(folder.path, "batch");
    writeFileSync(batch, Buffer.concat(mails.flatMap((mail) => [Buffer.from(`${mail.length}\n`), mail])));
    const script = join(import.meta.dirname, "parts.py");
    const { stdout } = await promisify(execFile)("python3", [script, batch], { maxBuffer: 1e9 });
    const theirs = stdout.trimEnd().split("\n").map((line) => JSON.parse(line) as unknown); // prettier-ignore
    let leaves = 0;
    for (const [index, mail] of mails.entries()) {
      const ours: unknown[] = [];
      for await (const part of walkParts(createMessage(createMemoryBlob([mail])))) {
        if (part.kind !== "leaf") continue;
        const hash = createHash("sha1");
        let length = 0;
        for await (const piece of part.decoded()) {
          hash.update(piece);
          length += piece.length;
        }
        ours.push([part.type.essence, part.fileName ?? null, length, hash.digest("hex")]);
      }
      leaves += ours.length;
      expect([index, ours], mail.toString("latin1")).toEqual([index, theirs[index]]);
    }
    expect(leaves).toBeGreaterThan(count);
  });
});
