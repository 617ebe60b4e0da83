// A real gateway and a real clamd, and between them everything that can go wrong: the declared policy each time, nothing lost, nothing
// passed unscanned but what the config lets pass, and no connection left.
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { dial, hand } from "../e2e/dialogue.ts";
import { startGateway, type GatewayProcess } from "../e2e/gateway.ts";
import { undisturbed } from "../undisturbed.ts";
import { describeWith, eicar, readMaildir, startClamd, temporaryFolder, type Clamd } from "../services/index.ts";

/** What lies between gateway and clamd. `undefined`: nothing does. */
type Fault =
  | "closes at once"
  | "closes in the middle"
  | "closes before it answers"
  | "answers rubbish"
  | "says nothing"
  | "is slow";

/** A relay on a port in front of clamd's socket. */
interface Between {
  readonly port: number;
  /** For connections from now on; those that are end. */
  set(fault: Fault | undefined): void;
  /** From the gateway so far. */
  readonly octets: number;
  /** Takes no connections, and ends those that are. */
  stop(): Promise<void>;
}

async function startBetween(target: () => string): Promise<Between> {
  const sockets = new Set<Socket>();
  let current: Fault | undefined;
  let octets = 0;
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    join(socket, current);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  function join(socket: Socket, fault: Fault | undefined): void {
    if (fault === "closes at once") return void socket.destroy();
    if (fault === "says nothing") return void socket.resume();
    if (fault === "answers rubbish")
      return void socket.resume().once("data", () => socket.write("1: stream: perhaps\0"));
    const clamd = connect(target());
    clamd.on("error", () => socket.destroy());
    clamd.on("close", () => socket.destroy());
    socket.on("close", () => clamd.destroy());
    socket.on("data", (data) => {
      if (fault === "closes in the middle") return void socket.destroy();
      octets += data.length;
      clamd.write(data);
    });
    clamd.on("data", (data) => {
      if (fault === "closes before it answers") socket.destroy();
      else if (fault === "is slow") setTimeout(() => socket.write(data), 300);
      else socket.write(data);
    });
  }
  const hangUp = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    port: (server.address() as AddressInfo).port,
    get octets() {
      return octets;
    },
    set(fault) {
      current = fault;
      hangUp();
    },
    async stop() {
      hangUp();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const filler = "x".repeat(70).concat("\r\n");
/** More than the gateway waits for before it begins to stream. */
const long = filler.repeat(8_000);
const clean = (body = "nothing to see\r\n") => `Subject: clean\r\n\r\n${body}`;
const infected = (body = "") => `Subject: infected\r\n\r\n${body}${eicar}\r\n`;
const messages = [clean(), clean(long), infected(), infected(long)];

describeWith(["clamd"], "clamd's faults", () => {
  const folder = temporaryFolder();
  let clamd: Clamd;
  let between: Between;
  let gateway: GatewayProcess;
  let before: number;
  /** Messages that must have been delivered so far. */
  let taken = 0;
  const send = (content: string) => hand(gateway.port, { to: "user@example.test", content });
  const delivered = () => readMaildir(`${gateway.folder}/mail/example.test/user`);
  const sockets = (): number =>
    readdirSync(`/proc/${gateway.pid}/fd`).filter((fd) => {
      try {
        return readlinkSync(`/proc/${gateway.pid}/fd/${fd}`).startsWith("socket:");
      } catch {
        return false; // closed just now
      }
    }).length;

  beforeAll(async () => {
    clamd = await startClamd({ folder: folder.path, lines: ["MaxThreads 2"] });
    between = await startBetween(() => clamd.socket);
    gateway = await startGateway({
      config: {
        domains: { virtualMailbox: ["example.test"] },
        limits: { sessionsPerClient: 1000 },
        plugins: [
          "@postern/plugin-access",
          ["@postern/plugin-transport-maildir", { directory: "./mail" }],
          [
            "@postern/plugin-av-clamd",
            {
              address: `tcp:127.0.0.1:${between.port}`,
              onError: { down: "reject", timeout: "defer", tooLarge: "skip", error: "quarantine" },
              deadline: "700ms",
            },
          ],
        ],
      },
    });
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await between.stop();
    await clamd.stop();
    folder[Symbol.dispose]();
  });

  /** Where the machine stands still for longer than the deadline, it is deferred, and sent again. */
  const expectReply = (content: string, expected: RegExp): Promise<void> =>
    undisturbed(async () => {
      const reply = await send(content);
      if (reply.startsWith("250 ")) taken += 1;
      expect(reply).toMatch(expected);
    });

  async function expectScanning(): Promise<void> {
    between.set(undefined);
    await expectReply(clean(), /^250 /);
    await expectReply(infected(), /^550 5\.7\.1 infected: /);
    await expect.poll(() => delivered().length).toBe(taken);
  }

  it("clamd is introduced, and nothing is left of that", async () => {
    await expect.poll(() => gateway.log()).toContain("takes 1048576 bytes (StreamMaxLength)");
    await expect.poll(sockets).toBeLessThan(10);
    before = sockets();
  });

  it("clamd has most of a large message before its end, and none of it twice", async () => {
    await undisturbed(async () => {
      const before = between.octets;
      using client = await dial(gateway.port);
      for (const line of ["EHLO client.test", "MAIL FROM:<a@source.test>", "RCPT TO:<user@example.test>", "DATA"]) {
        await client.say(line);
      }
      client.write(clean(long));
      await expect.poll(() => between.octets - before).toBeGreaterThan(long.length * 0.8);
      client.write(`${eicar}\r\n.\r\n`);
      expect(await client.reply()).toMatch(/^550 5\.7\.1 infected: /);
      expect(between.octets - before).toBeLessThan(long.length * 1.2);
    });
  });

  it.each<[fault: Fault, policy: RegExp]>([
    ["closes at once", /^554 5\.3\.0 /],
    ["closes in the middle", /^554 5\.3\.0 /],
    ["closes before it answers", /^554 5\.3\.0 /],
    ["says nothing", /^451 4\.\d\.\d /],
    ["answers rubbish", /^250 /],
  ])("a clamd that %s", async (fault, policy) => {
    await expectScanning();
    between.set(fault);
    const before = delivered().length;
    for (const content of messages) await undisturbed(async () => expect(await send(content)).toMatch(policy));
    expect(delivered()).toHaveLength(before);
    await expectScanningAgain();
  });

  it("a clamd that is slow is waited for", async () => {
    await expectScanning();
    between.set("is slow");
    await expectReply(clean(), /^250 /);
    await expectReply(infected(long), /^550 5\.7\.1 /);
    await expectScanningAgain();
  });

  it("a message that clamd refuses by size passes as declared, and says so", async () => {
    await expectScanning();
    await expectReply(clean(filler.repeat(20_000)), /^250 /);
    await expect.poll(() => delivered().length).toBe(taken);
    const marked = delivered().filter(({ raw }) => raw.includes("X-Postern-Unscanned: av-clamd (tooLarge)"));
    expect(marked).toHaveLength(1);
  });

  it("clients that go while their message is scanned leave nothing behind", async () => {
    await expectScanning();
    await clamd.pause();
    await Promise.all(
      [clean(), clean(long)].flatMap((content) =>
        ["in DATA", "after the dot"].map(async (when) => {
          const client = await dial(gateway.port);
          for (const line of ["EHLO client.test", "MAIL FROM:<a@source.test>", "RCPT TO:<user@example.test>", "DATA"]) {
            await client.say(line);
          }
          client.write(content);
          if (when === "after the dot") client.write("\r\n.\r\n");
          await new Promise((resolve) => setTimeout(resolve, 100));
          client.hangUp();
        }),
      ),
    );
    // Clamd still stands still: the scans are let go all the same.
    await expect.poll(sockets).toBeLessThanOrEqual(before + 1);
    clamd.resume();
    await expectScanningAgain();
    expect(delivered()).toHaveLength(taken);
  });

  it("200 sessions at once on a clamd of two threads, and then one that dies under them", async () => {
    await expectScanning();
    const burst = () =>
      Promise.all(
        Array.from({ length: 200 }, (_, at) =>
          send(at % 10 === 0 ? infected() : clean(at % 40 === 1 ? long : undefined)),
        ),
      );
    const replies = await burst();
    // With so much at once a deadline of 700 ms may pass: then it is deferred, never delivered.
    for (const [at, reply] of replies.entries()) expect(reply).toMatch(at % 10 === 0 ? /^(550|451) / : /^(250|451) /);
    taken += replies.filter((reply) => reply.startsWith("250 ")).length;
    await expect.poll(() => delivered().length).toBe(taken);
    const dying = burst();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await clamd.kill();
    const last = await dying;
    for (const [at, reply] of last.entries())
      expect(reply).toMatch(at % 10 === 0 ? /^(550|554|451) / : /^(250|554|451) /);
    taken += last.filter((reply) => reply.startsWith("250 ")).length;
    await expect.poll(() => delivered().length).toBe(taken);
    expect(delivered().filter(({ raw }) => raw.includes(eicar))).toEqual([]);
  });

  it("after all that no connection is left", async () => {
    await expect.poll(sockets).toBeLessThanOrEqual(before);
  });

  /** It may be spared for a second or two after failures in a row. */
  async function expectScanningAgain(): Promise<void> {
    between.set(undefined);
    await expect.poll(() => send(infected()), { interval: 100 }).toMatch(/^550 5\.7\.1 infected/);
  }
});
