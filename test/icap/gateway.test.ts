// ICAP in front of mail: c-icap says what is infected, and while it cannot be asked nothing passes.
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import icap from "@postern/plugin-icap";
import { createTestGateway, type TestGateway } from "@postern/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { talk } from "../e2e/client.ts";
import { describeWith, eicar, eicarName, startCIcap, startClamd, temporaryFolder } from "../services/index.ts";
import type { CIcap, Clamd } from "../services/index.ts";

describeWith(["clamd", "c-icap"], "c-icap in front of mail", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let clamd: Clamd;
  let server: CIcap;
  const open: TestGateway[] = [];
  beforeAll(async () => {
    folder = temporaryFolder();
    clamd = await startClamd({ folder: folder.path });
    server = await startCIcap({ folder: folder.path, clamd: clamd.socket });
  });
  afterAll(async () => {
    await Promise.all(open.map((gateway) => gateway.close()));
    await server.stop();
    await clamd.stop();
    folder[Symbol.dispose]();
  });

  async function startWith(given: object): Promise<TestGateway> {
    const settings = { address: server.url("avscan"), onError: "defer", ...given };
    const gateway = await createTestGateway({ domains: { relay: ["example.test"] } }, { plugins: [[icap, settings]] });
    open.push(gateway);
    return gateway;
  }

  async function send(gateway: TestGateway, content: string): Promise<string> {
    const client = talk(gateway.connect());
    await client.reply();
    for (const line of ["EHLO a.test", "MAIL FROM:<a@b.test>", "RCPT TO:<c@example.test>"]) {
      expect(await client.say(line)).toMatch(/^250/);
    }
    const said = await client.data(content);
    client.hangUp();
    return said;
  }

  const clean = "Subject: clean\r\n\r\nnothing\r\n";
  const infected = `Subject: infected\r\n\r\n${eicar}\r\n`;

  test("infected mail is refused by name, tagged, put aside or dropped; clean mail passes as it is", async () => {
    const refusing = await startWith({});
    expect(await send(refusing, infected)).toBe(`550 5.7.1 infected: ${eicarName}`);
    expect(await send(refusing, clean)).toMatch(/^250 /);
    const [delivery] = await refusing.delivered(1);
    expect(delivery?.content.toString()).toContain(clean);
    const tagging = await startWith({ onInfected: "tag" });
    expect(await send(tagging, infected)).toMatch(/^250 /);
    const [tagged] = await tagging.delivered(1);
    expect(tagged?.content.toString()).toContain(`X-Virus-Found: ${eicarName}\r\n`);
    const quarantining = await startWith({ onInfected: "quarantine" });
    expect(await send(quarantining, infected)).toMatch(/^250 /);
    expect(quarantining.quarantined.map(({ reason }) => reason)).toEqual([`infected: ${eicarName}`]);
    const dropping = await startWith({ onInfected: "discard" });
    expect(await send(dropping, infected)).toMatch(/^250 /);
    expect(await send(await startWith({ onInfected: "defer" }), infected)).toMatch(/^450 4\.7\.1 infected/);
    for (const gateway of [quarantining, dropping]) expect(gateway.deliveries).toEqual([]);
  });

  test("stopped, dead and refusing the size, each as declared", async () => {
    const declared = { down: "reject", timeout: "defer", tooLarge: "quarantine" };
    const gateway = await startWith({ onError: declared, timeouts: { answer: "200ms" }, maxSize: "100KB" });
    expect(await send(gateway, `Subject: x\r\n\r\n${"x\r\n".repeat(50_000)}`)).toMatch(/^250 /);
    expect(gateway.quarantined).toHaveLength(1);
    await server.pause();
    expect(await send(gateway, clean)).toMatch(/^451 4\.3\.0 /);
    server.resume();
    await server.kill();
    expect(await send(gateway, clean)).toMatch(/^554 5\.3\.0 /);
    expect(gateway.deliveries).toEqual([]);
  });
});
