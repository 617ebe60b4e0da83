// Two gateways with one database: what a client did at the one counts at the other.
import { afterAll, beforeAll, expect, test } from "vitest";
import { dial } from "../e2e/dialogue.ts";
import { startGateway, type GatewayProcess } from "../e2e/gateway.ts";
import { until } from "../e2e/until.ts";
import { describeDatabases } from "../greylist/databases.ts";

describeDatabases("limits shared", (database) => {
  let gateways: readonly GatewayProcess[] = [];
  beforeAll(async () => {
    const { client, connection } = database();
    const start = () =>
      startGateway({
        files: { password: "secret\n" },
        config: {
          networks: ["192.0.2.0/24"],
          domains: { relay: ["example.test"] },
          plugins: [
            "@postern/plugin-access",
            "@postern/plugin-transport-smtp",
            [
              "@postern/plugin-state-sql",
              { client, connection: { ...connection, password: { file: "./password" } }, timeout: "30s" },
            ],
            ["@postern/plugin-limits", { senders: { messages: "3/1h" }, clients: { sessions: 2 } }],
          ],
        },
      });
    gateways = await Promise.all([start(), start()]);
  });
  afterAll(async () => {
    for (const gateway of gateways) await gateway[Symbol.asyncDispose]();
  });

  async function mail(gateway: GatewayProcess | undefined, sender: string): Promise<string> {
    using smtp = await dial(gateway?.port ?? 0, { expectGreeting: false });
    const greeting = await smtp.reply();
    if (!greeting.startsWith("220")) return greeting;
    await smtp.say("EHLO client.test");
    const reply = await smtp.say(`MAIL FROM:<${sender}>`);
    await smtp.say("QUIT");
    return reply;
  }

  test("messages of one sender", async () => {
    const [here, there] = gateways;
    for (let count = 0; count < 3; count++) expect(await mail(here, "a@source.test")).toMatch(/^250/);
    expect(await mail(here, "a@source.test")).toMatch(/^450 4\.7\.1 Too much mail/);
    await until(async () => (await mail(there, "a@source.test")).startsWith("450 4.7.1"));
    expect(await mail(there, "b@source.test")).toMatch(/^250/);
  });

  test("open sessions, until they end", async () => {
    const [here, there] = gateways;
    const held = [await dial(here?.port ?? 0), await dial(there?.port ?? 0)];
    await until(async () => (await mail(here, "c@source.test")).startsWith("421 4.7.0 Too many sessions"));
    for (const session of held) session[Symbol.dispose]();
    await until(async () => (await mail(there, "d@source.test")).startsWith("250"));
  });
});
