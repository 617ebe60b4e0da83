// A gateway asks another Postern as a milter: both sides of the protocol together, in every version.
import { createConnection } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { talk } from "../e2e/client.ts";
import { startGateway, type GatewayProcess } from "../e2e/gateway.ts";
import { temporaryFolder, waitForMail } from "../services/index.ts";
import { join } from "node:path";
import { startServing, type Serving } from "./serving.ts";

const folder = temporaryFolder();
let serving: Serving;
beforeAll(async () => {
  serving = await startServing({
    folder: folder.path,
    plugin,
  });
});
afterAll(async () => {
  await serving.stop();
  folder[Symbol.dispose]();
});

async function startAsking(protocol: number): Promise<GatewayProcess> {
  return startGateway({
    config: {
      domains: { virtualMailbox: ["example.test"] },
      plugins: [
        ["@postern/plugin-milter", { milters: [{ address: serving.address, onError: "defer", protocol }] }],
        ["@postern/plugin-transport-maildir", { directory: "./mail" }],
      ],
    },
  });
}

describe.each([2, 6])("version %i", (protocol) => {
  test("a message is changed as the plugin says, and refused with its words", async () => {
    await using gateway = await startAsking(protocol);
    const client = talk(createConnection(gateway.port, "127.0.0.1"));
    await client.reply();
    await client.say("EHLO client.test");
    expect(await client.say("MAIL FROM:<bad@client.test>")).toBe("550 5.7.1 not 100% good");
    const send = async (content: string): Promise<string> => {
      await client.say("MAIL FROM:<good@client.test>");
      await client.say("RCPT TO:<alice@example.test>");
      return client.data(content);
    };
    expect(await send("Subject: refuse\r\n\r\nx\r\n")).toBe(
      "451 4.7.1 later\n451 4.7.1 perhaps".replace("451 ", "451-"),
    );
    expect(await send("X-Old: 1\r\nSubject: x\r\nX-Old: 2\r\n\r\nthe body\r\n")).toMatch(/^250 /);
    client.hangUp();
    const [mail] = await waitForMail(join(gateway.folder, "mail/example.test/alice"));
    const text = mail?.raw.toString().replaceAll("\r\n", "\n") ?? "";
    expect(text.slice(text.indexOf("X-New"))).toMatch(/^X-New: 1\n(?:[A-Z].*\n)*Subject: y\nX-Old: 2\n\nTHE body\n$/);
  });
});

const plugin = `
import { definePlugin, reject } from "@postern/core";
import { z } from "zod";
export default definePlugin({
  name: "plugin",
  apiVersion: 1,
  options: z.strictObject({}),
  setup({ hooks: { smtp } }) {
    smtp.mail.tap((sender) => sender.startsWith("bad") ? reject("not 100% good") : undefined);
    smtp.message.tap((message) => message.headers.get("subject")?.value === "refuse" ? { kind: "defer", reply: { code: 451, enhanced: "4.7.1", text: "later", more: ["perhaps"] } } : undefined);
    smtp.modify.tap(() => [
      { kind: "prependHeader", name: "X-New", value: "1" },
      { kind: "deleteHeader", name: "X-Old", nth: 1 },
      { kind: "replaceHeader", name: "Subject", value: "y" },
      { kind: "spliceBody", start: 0, end: 3, octets: Buffer.from("THE") },
    ]);
  },
});
`;
