// Limits on clients, on a real gateway: who is over one is told so and nobody else notices; who is in `networks` has no limit
// on sessions. And its memory: what two thousand hostile sessions leave behind is nothing.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomFrom, sample, seed } from "../sampling.ts";
import { dial, hand, type Dialogue } from "./dialogue.ts";
import { startGateway, type GatewayProcess } from "./gateway.ts";
import { until } from "./until.ts";

/** Loopback is a stranger here, but for this one address. */
const exempt = "127.0.0.9";
const base = {
  networks: [`${exempt}/32`],
  domains: { local: ["example.test"] },
  plugins: [["@postern/plugin-transport-maildir", { directory: "./mail" }]],
} as const;

async function begun(port: number, localAddress = "127.0.0.1"): Promise<Dialogue> {
  const dialogue = await dial(port, { localAddress });
  expect(await dialogue.say("EHLO client.test")).toMatch(/^250/);
  return dialogue;
}

/** Says it until the session is ended; how often it was answered before, and the last words. */
async function untilEnded(dialogue: Dialogue, line: string): Promise<readonly [answers: number, last: string]> {
  for (let answers = 0; answers < 100; answers += 1) {
    const reply = await dialogue.say(line);
    if (reply.startsWith("421")) return [answers, reply];
    // The last answer and the farewell come together.
    if (reply === "") return [answers, ""];
  }
  throw new Error(`${line} can be said for ever`);
}

describe("limits", () => {
  let gateway: GatewayProcess;
  beforeAll(async () => {
    const limits = {
      sessionsPerClient: 3,
      recipients: 4,
      messageSize: "64KB",
      errors: 5,
      junkCommands: 6,
      commandLine: "512B",
    };
    gateway = await startGateway({ config: { ...base, limits } });
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  it("sessions of one client; another client and `networks` go on", async () => {
    const open = await Promise.all([1, 2, 3].map(() => begun(gateway.port)));
    using refused = await dial(gateway.port, { expectGreeting: false });
    expect(await refused.reply()).toMatch(/^421 /);
    expect(await refused.reply()).toBe("");
    const others = [await begun(gateway.port, "127.0.0.2")];
    for (let count = 0; count < 6; count += 1) others.push(await begun(gateway.port, exempt));
    for (const dialogue of [...open, ...others]) expect(await dialogue.say("NOOP")).toMatch(/^250/);
    expect(await open[0]?.say("QUIT")).toMatch(/^221/);
    for (const dialogue of [...open, ...others]) dialogue[Symbol.dispose]();
    await until(async () => (await hand(gateway.port, { to: "a@example.test" })).startsWith("250 2.0.0 "));
  });

  it("recipients: those beyond are put off, the message goes to the others", async () => {
    for (const from of ["127.0.0.3", exempt]) {
      using dialogue = await begun(gateway.port, from);
      await dialogue.say("MAIL FROM:<a@source.test>");
      for (let count = 0; count < 4; count += 1)
        expect(await dialogue.say(`RCPT TO:<r${count}@example.test>`)).toMatch(/^250/);
      expect(await dialogue.say("RCPT TO:<r4@example.test>")).toMatch(/^452 4\.5\.3 /);
      expect(await dialogue.say("DATA")).toMatch(/^354/);
      dialogue.write("Subject: x\r\n\r\nx\r\n.\r\n");
      expect(await dialogue.reply()).toMatch(/^250 2\.0\.0 /);
    }
    await until(() => gateway.log().split("nrcpt=4").length === 3);
  });

  it("size, as declared and as sent; the session goes on", async () => {
    using dialogue = await begun(gateway.port, "127.0.0.4");
    expect(await dialogue.say("EHLO client.test")).toMatch(/^250-SIZE 65536$/m);
    expect(await dialogue.say("MAIL FROM:<a@source.test> SIZE=65537")).toMatch(/^552 5\.3\.4 /);
    expect(await dialogue.say("MAIL FROM:<a@source.test> SIZE=65536")).toMatch(/^250/);
    expect(await dialogue.say("RCPT TO:<a@example.test>")).toMatch(/^250/);
    expect(await dialogue.say("DATA")).toMatch(/^354/);
    dialogue.write(`Subject: x\r\n\r\n${`${"x".repeat(78)}\r\n`.repeat(1_000)}.\r\n`);
    expect(await dialogue.reply()).toMatch(/^552 5\.3\.4 /);
    expect(await dialogue.say("MAIL FROM:<a@source.test>")).toMatch(/^250/);
  });

  it("errors, junk and lines: a few are answered, then the session ends", async () => {
    using wrong = await begun(gateway.port, "127.0.0.5");
    expect(await untilEnded(wrong, "NONSENSE")).toEqual([6, expect.stringMatching(/^421 4\.7\.0 /)]);
    using idle = await begun(gateway.port, "127.0.0.5");
    // EHLO was the first of six; then each counts as an error, of which five are borne.
    expect(await untilEnded(idle, "NOOP")).toEqual([5 + 5, expect.stringMatching(/^421 4\.7\.0 /)]);
    using long = await begun(gateway.port, "127.0.0.5");
    expect(await long.say(`NOOP ${"x".repeat(600)}`)).toMatch(/^500 5\.5\.2 /);
    expect(await long.say("NOOP")).toMatch(/^250/);
  });
});

/** EHLO `gc.probe.test` makes the process collect its garbage and log what is left, in octets. */
const probe = `
  import { definePlugin } from "@postern/core";
  import { setFlagsFromString } from "node:v8";
  import { runInNewContext } from "node:vm";
  import { z } from "zod";
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  let count = 0;
  export default definePlugin({
    name: "probe", apiVersion: 1, options: z.strictObject({}),
    setup(gateway) {
      const state = gateway.sessionState(() => Buffer.alloc(16_384, 1));
      gateway.hooks.smtp.connect.tap((session) => { state(session); return undefined; });
      gateway.hooks.smtp.helo.tap((name) => {
        if (name !== "gc.probe.test") return undefined;
        for (let times = 0; times < 3; times += 1) collect();
        const { heapUsed, external } = process.memoryUsage();
        count += 1;
        gateway.log.info("left " + count + " " + (heapUsed + external));
        return undefined;
      });
    },
  });`;

async function memoryOf(gateway: GatewayProcess): Promise<number> {
  const before = gateway.log().split("plugin probe: left").length;
  using dialogue = await dial(gateway.port, { localAddress: exempt });
  await dialogue.say("EHLO gc.probe.test");
  await until(() => gateway.log().split("plugin probe: left").length > before);
  return Number(/left \d+ (\d+)/.exec(gateway.log().split("plugin probe: ").at(-1) ?? "")?.[1]);
}

describe("memory", () => {
  const random = randomFrom(seed);
  const below = (end: number): number => Math.floor(random() * end);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, () => below(256)));
  const pieces: readonly (() => string | Buffer)[] = [
    () => "EHLO client.test\r\n",
    () => "EHLO client.test\r\nMAIL FROM:<a@source.test>\r\nRCPT TO:<a@example.test>\r\nDATA\r\n",
    () => "MAIL FROM:<a@source.test>\r\n",
    () => `RCPT TO:<${"r".repeat(below(200))}@example.test>\r\n`,
    () => "DATA\r\n",
    () => `Subject: x\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(below(2_000))}`,
    () => ".\r\n",
    () => `BDAT ${below(100_000)}\r\n`,
    () => "BDAT 10 LAST\r\n0123456789",
    () => "x".repeat(below(200_000)),
    () => `NOOP ${"\0".repeat(below(50))}\r\n`,
    () => "\n.\n\r.\r",
    () => "RSET\r\n".repeat(below(50)),
    () => noise(below(5_000)),
    () => "STARTTLS\r\n",
    () => "QUIT\r\n",
  ];

  async function attack({ port }: GatewayProcess): Promise<void> {
    // Some speak before the greeting, some reset, some say goodbye, some leave in the middle.
    using dialogue = await dial(port, { expectGreeting: random() < 0.8, localAddress: `127.0.1.${1 + below(200)}` });
    const { socket } = dialogue;
    for (let left = below(8); left > 0 && !socket.destroyed; left -= 1) {
      dialogue.write(pick(pieces)());
      if (random() < 0.5) await new Promise((resolve) => setImmediate(resolve));
    }
    if (random() < 0.3) socket.resetAndDestroy();
    else if (random() < 0.5) {
      socket.end();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it(`is after hostile sessions what it was before, within 10 MB (seed ${seed})`, async () => {
    await using gateway = await startGateway({
      config: { ...base, plugins: [...base.plugins, "./probe.mjs"], limits: { sessionsPerClient: 0 } },
      files: { "probe.mjs": probe },
    });
    const attackWith = async (count: number): Promise<void> => {
      for (let done = 0; done < count; done += 25) await Promise.all(Array.from({ length: 25 }, () => attack(gateway)));
      // Whoever has gone is gone for the gateway too.
      await until(async () => {
        using witness = await dial(gateway.port, { localAddress: exempt });
        const log = gateway.log();
        return witness.socket.writable && connected(log) === disconnected(log) + 1;
      });
    };
    await attackWith(500);
    const before = await memoryOf(gateway);
    await attackWith(sample(2_000, 20_000));
    const after = await memoryOf(gateway);
    expect(before).toBeGreaterThan(1e6);
    expect(after - before).toBeLessThan(10 * 1024 * 1024);
    expect(await hand(gateway.port, { to: "user@example.test" })).toMatch(/^250 2\.0\.0 /);
    expect(gateway.log()).not.toMatch(/^warning/m);
  });

  const connected = (log: string): number => log.match(/^connect from/gm)?.length ?? 0;
  const disconnected = (log: string): number => log.match(/^disconnect from/gm)?.length ?? 0;
});
