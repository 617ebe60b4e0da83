// kill -9 in the middle, and a start in the same folders at once: the dead process's lock and control socket are in nobody's
// way, what it had in hand is due at once, and whatever was answered with 250 arrives.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { randomFrom, sample, seed } from "../sampling.ts";
import { temporaryFolder } from "../services/folder.ts";
import { dial } from "./dialogue.ts";
import { repository, startGateway, type GatewayProcess } from "./gateway.ts";
import { run } from "./run.ts";
import { until } from "./until.ts";

/** Writes the subjects of what it delivers into a file; while HOLD is set it hangs with everything in hand. */
const ledger = `
  import { definePlugin, delivered } from "@postern/core";
  import { appendFileSync } from "node:fs";
  import { z } from "zod";
  export default definePlugin({
    name: "ledger", apiVersion: 1, options: z.strictObject({}),
    setup(gateway) {
      gateway.transport({
        name: "smtp",
        description: "Keeps a ledger.",
        async deliver({ content, recipients }, { settle }) {
          let text = "";
          for await (const piece of content.read()) text += piece.toString("latin1");
          const subject = /^Subject: (.*)\\r$/m.exec(text)[1];
          appendFileSync(process.env.HOLD ? "begun" : "delivered", subject + "\\n");
          if (process.env.HOLD) await new Promise(() => undefined);
          for (const recipient of recipients) settle(recipient, delivered("in the ledger"));
          return { destination: "alive" };
        },
        close: async () => undefined,
      });
    },
  });`;

const options = {
  // Nothing but a restart makes anything due within the test.
  config: {
    domains: { relay: ["example.test"] },
    plugins: ["./ledger.mjs"],
    queue: { directory: "./queue", minBackoff: "1h", maxBackoff: "2h" },
  },
  files: { "ledger.mjs": ledger },
};

const linesOf = (folder: string, name: string): readonly string[] => {
  const path = join(folder, name);
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
};

/** Sends one message after another in one session, until `over`; gives the subjects that were answered with 250, in `taken` as they are. */
async function send(port: number, name: string, count: number, taken: string[] = []): Promise<readonly string[]> {
  try {
    using dialogue = await dial(port);
    await dialogue.say("EHLO client.test");
    for (let index = 0; index < count; index += 1) {
      const subject = `${name}-${index}`;
      dialogue.write("MAIL FROM:<a@source.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n");
      for (const code of ["250", "250", "354"]) if (!(await dialogue.reply()).startsWith(code)) return taken;
      dialogue.write(`Subject: ${subject}\r\n\r\n${"x".repeat(500)}\r\n.\r\n`);
      if (!(await dialogue.reply()).startsWith("250")) return taken;
      taken.push(subject);
    }
  } catch {
    // The gateway is gone, which is the point.
  }
  return taken;
}

const status = (folder: string) =>
  run(
    process.execPath,
    ["--conditions=@postern/source", join(repository, "packages/cli/src/main.ts"), "status", "--json"],
    { cwd: folder },
  );

it("what was in hand is due at once, and neither lock nor socket of the dead process is in the way", async () => {
  using folder = temporaryFolder();
  const held = await startGateway({ ...options, folder: folder.path, env: { HOLD: "1" } });
  const taken = await send(held.port, "held", 10);
  expect(taken).toHaveLength(10);
  // Some are with the transport, the others wait behind them.
  await until(() => linesOf(folder.path, "begun").length > 1);
  await held.kill();
  expect(existsSync(join(folder.path, "run", "postern.sock"))).toBe(true);

  await using next = await startGateway({ ...options, folder: folder.path, port: held.port });
  await until(() => linesOf(folder.path, "delivered").length === 10);
  expect(linesOf(folder.path, "delivered").toSorted()).toEqual(taken.toSorted());
  const said = await status(folder.path);
  expect(said.stderr).toBe("");
  expect(JSON.parse(said.stdout)).toMatchObject({ queue: { messages: 0 } });
  expect(next.log()).not.toMatch(/damage/);
});

it(`killed at any moment under load, again and again: whatever was answered with 250 arrives (seed ${seed})`, async () => {
  using folder = temporaryFolder();
  const random = randomFrom(seed);
  const taken: string[] = [];
  let gateway: GatewayProcess = await startGateway({ ...options, folder: folder.path });
  for (let round = 0; round < sample(4, 100); round += 1) {
    const now: string[] = [];
    const sending = Promise.all([1, 2, 3, 4].map((client) => send(gateway.port, `${round}-${client}`, 100_000, now)));
    await delay(50 + random() * 300);
    await until(() => now.length > 30);
    await gateway.kill();
    await sending;
    taken.push(...now);
    gateway = await startGateway({ ...options, folder: folder.path, port: gateway.port });
  }
  expect(taken.length).toBeGreaterThan(100);
  await until(() => {
    const delivered = new Set(linesOf(folder.path, "delivered"));
    return taken.every((subject) => delivered.has(subject));
  });
  await gateway.stop();
  expect(gateway.log()).not.toMatch(/^warning/m);
});
