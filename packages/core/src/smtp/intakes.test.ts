// Content on its way to an engine that begins early: what it is given is what the message will be, however it came; and it is told when nobody
// will ask.
import { describe, expect, test } from "vitest";
import { randomFrom, sample, seed } from "../../../../test/sampling.ts";
import { createNamelessFiles, createSpooler, type Spool } from "../message/index.ts";
import { reject } from "../model/index.ts";
import { ownScanner, type OwnedScanner, type ScanIntake, type Scanner } from "../scanning/index.ts";
import { createFront, readText, sayWord, type FrontOptions, type Talk } from "./front.fixture.ts";

interface Begun {
  text: string;
  readonly signal: AbortSignal;
  readonly recipients: readonly string[];
}

function recording(write: (begun: Begun) => unknown = () => undefined, scan?: Scanner["scan"]) {
  const begun: Begun[] = [];
  const scanned: { given: string | undefined; read: string }[] = [];
  const scanner: Scanner = {
    name: "recorder",
    description: "",
    begin({ transaction, signal }): ScanIntake {
      const one: Begun = { text: "", signal, recipients: transaction.recipients.map(({ address }) => address) };
      begun.push(one);
      return Object.assign(one, {
        write(part: Buffer) {
          one.text += part.toString("latin1");
          return write(one);
        },
      });
    },
    async scan(ask) {
      scanned.push({ given: (ask.intake as Begun | undefined)?.text, read: await readText(ask.message.raw) });
      return scan?.(ask);
    },
  };
  const scanners: readonly OwnedScanner[] = [
    ownScanner({ name: "plugin", onError: "defer", deadlineMs: 5_000 }, scanner),
  ];
  return { begun, scanned, scanners };
}

const envelope = ["MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>", "RCPT TO:<c@ours.test>"];
async function open(options: FrontOptions): Promise<{ talk: Talk; front: Awaited<ReturnType<typeof createFront>> }> {
  const front = await createFront(options);
  const talk = await front.greeted();
  for (const line of envelope) await talk.say(line);
  return { talk, front };
}

const body = `Subject: x\r\n\r\n.leading\r\n${"a line of the body\r\n".repeat(30)}..two\r\n`;
const stuffed = body.replaceAll(/^\./gm, "..");
const whole = `DATA\r\n|${stuffed}.\r\n`;
const small = () => createSpooler({ files: createNamelessFiles("/tmp"), thresholdBytes: 64, maxSizeBytes: 1e6 });

function slowly(spool: Spool): Spool {
  const write = spool.write.bind(spool);
  return Object.assign(spool, { write: async (chunk: Buffer) => write(chunk) });
}

describe("what it is given is what is read in the end", () => {
  type Way = readonly [what: string, options: FrontOptions, send: (talk: Talk) => Promise<void>, content: string];
  const inPieces = async (talk: Talk, text: string, bytes: number): Promise<void> => {
    for (let at = 0; at < text.length; at += bytes) {
      talk.send(text.slice(at, at + bytes));
      if (at % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const data = async (talk: Talk, text = whole, bytes = 1 << 20): Promise<void> => {
    const [command = "", content = ""] = text.split("|");
    await talk.say(command.trimEnd());
    await inPieces(talk, content, bytes);
  };
  const ways: readonly Way[] = [
    ["DATA", {}, (talk) => data(talk), body],
    ["DATA, octet by octet", {}, (talk) => data(talk, whole, 1), body],
    ["DATA, spooled", { spooler: small() }, (talk) => data(talk, whole, 7), body],
    ["DATA, line ends made right", { listener: { lineEndings: "normalize" } }, (talk) => data(talk, "DATA|a\rb\nc\r\r\n.\r\n", 1), "a\r\nb\r\nc\r\n\r\n"], // prettier-ignore
    ["no octets at all", {}, (talk) => data(talk, "DATA|.\r\n"), ""],
    [
      "BDAT",
      {},
      async (talk) => {
        talk.send(`BDAT 10\r\n${body.slice(0, 10)}BDAT 0\r\nBDAT ${body.length - 10} LAST\r\n${body.slice(10)}`);
        await talk.replies(2);
      },
      body,
    ],
    [
      "BDAT, octet by octet, spooled",
      { spooler: small() },
      (talk) => inPieces(talk, `BDAT ${body.length} LAST\r\n${body}`, 1),
      body,
    ],
  ];
  test.each(ways)("%s", async (_, options, send, content) => {
    const { scanners, begun, scanned } = recording();
    const { talk, front } = await open({ ...options, scanners });
    await send(talk);
    expect(await talk.reply()).toMatch(/^250 2\.0\.0 Ok: queued/);
    expect(scanned).toEqual([{ given: content === "" ? undefined : content, read: content }]);
    // Begun with the first octets, when all recipients are known.
    expect(begun.map(({ recipients }) => recipients)).toEqual(content === "" ? [] : [["b@ours.test", "c@ours.test"]]);
    expect(front.queue[0]?.text.endsWith(content)).toBe(true);
    expect(begun.every(({ signal }) => signal.aborted)).toBe(true);
    expect(front.failures).toEqual([]);
  });

  test("one that asks to wait holds the client back, and everything is there in order", async () => {
    let busy = 0;
    const most: number[] = [];
    const { scanners, scanned } = recording(async () => {
      most.push((busy += 1));
      await new Promise((resolve) => setTimeout(resolve, 2));
      busy -= 1;
    });
    // The disk is behind, too, if less.
    const spooler = small();
    const { talk } = await open({ scanners, spooler: { open: () => slowly(spooler.open()) } });
    await inPieces(talk, `BDAT ${body.length} LAST\r\n${body}`, 20);
    expect(await talk.reply()).toMatch(/^250 /);
    expect(scanned).toEqual([{ given: body, read: body }]);
    expect(Math.max(...most)).toBe(1);
  });

  test("one that throws is asked without it, and the client hears nothing of that", async () => {
    const { scanners, scanned } = recording(() => {
      throw new Error("secret");
    });
    const { talk, front } = await open({ scanners });
    await data(talk);
    expect(await talk.reply()).toMatch(/^250 /);
    expect(scanned).toEqual([{ given: undefined, read: body }]);
    expect(front.failures).toMatchObject([{ point: "scanner recorder intake", reason: "error" }]);
  });
});

test(
  "whatever comes, and however the network cuts it: two engines are given what is queued",
  async () => {
    const random = randomFrom(seed);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
    const pieces = ["a", ".", "..", "\r\n", "\r\n.", "\r\n..", "\r\n.\t", "\xe9", "line of text"];
    for (let round = 0; round < sample(60, 2000); round += 1) {
      const [quick, slow] = [
        recording(),
        recording(() => (random() < 0.2 ? new Promise((resolve) => setImmediate(resolve)) : undefined)),
      ];
      const [one] = quick.scanners;
      const [other] = slow.scanners;
      if (one === undefined || other === undefined) throw new Error("two scanners");
      const scanners = [one, { ...other, scanner: { ...other.scanner, name: "second" } }];
      const lineEndings = pick(["reject", "normalize"] as const);
      const { talk, front } = await open({ scanners, spooler: small(), listener: { lineEndings } });
      const content = `${Array.from({ length: Math.floor(random() * 200) }, () => pick(pieces)).join("")}\r\n`;
      await talk.say("DATA");
      const wire = `${content.replaceAll(/(^|\r\n)\./g, "$1..")}.\r\n`;
      for (let at = 0; at < wire.length;) {
        const length = 1 + Math.floor(random() ** 3 * 300);
        talk.send(wire.slice(at, at + length));
        at += length;
        if (random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
      }
      expect([seed, round, await talk.reply()]).toEqual([seed, round, expect.stringMatching(/^250 /)]);
      expect(quick.scanned).toEqual([{ given: content, read: content }]);
      expect(slow.scanned).toEqual(quick.scanned);
      expect(front.queue[0]?.text.endsWith(content)).toBe(true);
    }
  },
  sample(10_000, 300_000),
);

describe("when nobody will ask, it is told at once", () => {
  type End = readonly [what: string, options: FrontOptions, end: (talk: Talk) => unknown, reply: RegExp | undefined];
  test.each<End>([
    ["the client is gone in the middle", {}, (talk) => talk.stream.destroy(), undefined],
    ["RSET between chunks", {}, (talk) => talk.send("RSET\r\n"), /^250 /],
    ["a wrong line end", {}, (talk) => talk.send("BDAT 3 LAST\r\na\nb"), /^550 5\.5\.2 /],
    ["a half line end at the end", {}, (talk) => talk.send("BDAT 2 LAST\r\na\r"), /^550 5\.5\.2 /],
    [
      "too large",
      { limits: { messageSizeBytes: 100 } },
      (talk) => talk.send(`BDAT 200\r\n${"x".repeat(200)}`),
      /^552 /,
    ],
    ["refused for its header", { limits: { hops: 1 } }, (talk) => talk.send("BDAT 2 LAST\r\n\r\n"), /^554 5\.4\.6 /],
    [
      "refused by a hook that sees the header",
      { taps: ({ smtp }) => smtp.headers.tap(() => reject("no")) },
      (talk) => talk.send("BDAT 2 LAST\r\n\r\n"),
      /^550 5\.7\.1 no/,
    ],
  ])("%s", async (_, options, end, reply) => {
    const { scanners, begun, scanned } = recording();
    const { talk, front } = await open({ ...options, scanners });
    const beginning = "Received: by x\r\n";
    talk.send(`BDAT ${beginning.length}\r\n${beginning}`);
    expect(await talk.reply()).toMatch(/^250 /);
    expect(begun.map(({ signal, text }) => [signal.aborted, text])).toEqual([[false, beginning]]);
    end(talk);
    if (reply !== undefined) expect(await talk.reply()).toMatch(reply);
    await expect.poll(() => begun[0]?.signal.aborted).toBe(true);
    expect([begun.length, scanned, front.queue]).toEqual([1, [], []]);
    talk.stream.destroy();
    await front.idle();
  });

  test("too large, before the client has come to its end", async () => {
    const { scanners, begun } = recording();
    const { talk, front } = await open({ scanners, limits: { messageSizeBytes: 100 } });
    await talk.say("DATA");
    talk.send("x\r\n".repeat(30));
    await expect.poll(() => begun[0]?.text).toBe("x\r\n".repeat(30));
    talk.send("x\r\n".repeat(30));
    await expect.poll(() => begun[0]?.signal.aborted).toBe(true);
    expect(await talk.say(".")).toMatch(/^552 /);
    expect(front.queue).toEqual([]);
  });

  test("a list that refuses does not wait for it", async () => {
    const { scanners, begun } = recording(undefined, () => new Promise(() => undefined));
    const { talk, front } = await open({
      scanners,
      lists: { message: ["no"] },
      words: [sayWord("no", reject("spam"))],
    });
    talk.send(`BDAT ${body.length} LAST\r\n${body}`);
    expect(await talk.reply()).toBe("550 5.7.1 spam");
    expect([begun[0]?.signal.aborted, front.failures]).toEqual([true, []]);
  });

  test("what it opens when it was called off is let go at once", async () => {
    const late = Promise.withResolvers<Spool>();
    const { scanners } = recording(undefined, async ({ openSpool, signal }) => {
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
      late.resolve(openSpool());
      return undefined;
    });
    const { talk } = await open({ scanners, lists: { message: ["no"] }, words: [sayWord("no", reject("spam"))] });
    talk.send(`BDAT ${body.length} LAST\r\n${body}`);
    await talk.reply();
    const spool = await late.promise;
    expect(await spool.write(Buffer.from("x"))).toBe(false);
    expect(await spool.end()).toBeUndefined();
  });

  test("the client goes while it is scanned", async () => {
    let asked: (() => void) | undefined;
    const hasAsked = new Promise<void>((resolve) => (asked = resolve));
    const { scanners, begun } = recording(undefined, ({ signal }) => {
      asked?.();
      return new Promise((_, failed) => signal.addEventListener("abort", () => failed(new Error("gone"))));
    });
    const { talk, front } = await open({ scanners });
    talk.send(`BDAT ${body.length} LAST\r\n${body}`);
    await hasAsked;
    talk.stream.destroy();
    await front.idle();
    expect([begun[0]?.signal.aborted, front.queue, front.failures]).toEqual([true, [], []]);
  });
});
