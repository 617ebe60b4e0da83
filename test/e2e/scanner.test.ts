// A real clamd in front of mail: infected mail is refused by name, and nothing passes while it cannot be asked.
import { afterAll, beforeAll, expect, it } from "vitest";
import { startClamd, eicarName, type Clamd } from "../services/clamd.ts";
import { eicar } from "../services/eicar.ts";
import { temporaryFolder } from "../services/folder.ts";
import { readMaildir, waitForMail } from "../services/maildir.ts";
import { describeWith } from "../services/describe-with.ts";
import { undisturbed } from "../undisturbed.ts";
import { hand } from "./dialogue.ts";
import { startGateway, type GatewayProcess } from "./gateway.ts";

const clean = "Subject: clean\r\n\r\nnothing to see\r\n";
const infected = `Subject: infected\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n${Buffer.from(eicar).toString("base64")}\r\n`;

describeWith(["clamd"], "clamd", () => {
  const folder = temporaryFolder();
  let clamd: Clamd;
  let gateway: GatewayProcess;
  const box = (): string => `${gateway.folder}/mail/example.test/user`;
  const send = (content: string) => hand(gateway.port, { to: "user@example.test", content });

  beforeAll(async () => {
    clamd = await startClamd({ folder: folder.path });
    gateway = await startGateway({
      config: {
        domains: { virtualMailbox: ["example.test"] },
        plugins: [
          "@postern/plugin-access",
          ["@postern/plugin-transport-maildir", { directory: "./mail" }],
          [
            "@postern/plugin-av-clamd",
            { address: `unix:${clamd.socket}`, onInfected: "reject", onError: "defer", deadline: "2s" },
          ],
        ],
      },
    });
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await clamd.stop();
    folder[Symbol.dispose]();
  });

  it("clean mail passes, EICAR is refused with the signature's name, raw and in MIME", async () => {
    await undisturbed(async () => expect(await send(clean)).toMatch(/^250 /));
    await waitForMail(box(), 1);
    for (const content of [`Subject: raw\r\n\r\n${eicar}\r\n`, infected]) {
      await undisturbed(async () => {
        const reply = await send(content);
        expect(reply).toMatch(/^55[04] 5\.7\.1 /);
        expect(reply).toContain(eicarName);
      });
    }
  });

  it("while clamd hangs or is dead the client gets 451, and nothing passes", async () => {
    await clamd.pause();
    for (const content of [clean, infected]) expect(await send(content)).toMatch(/^451 4\.\d\.\d /);
    clamd.resume();
    await undisturbed(async () => expect(await send(clean)).toMatch(/^250 /));
    await waitForMail(box(), 2);
    await clamd.kill();
    for (const content of [clean, infected]) expect(await send(content)).toMatch(/^451 4\.\d\.\d /);
    expect(readMaildir(box())).toHaveLength(2);
  });

  it("the reply names no path and no host", async () => {
    expect(await send(clean)).not.toMatch(/clamd|sock|\/|127\./);
  });
});
