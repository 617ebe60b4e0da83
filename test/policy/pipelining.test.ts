// Commands ahead of their turn, in the same packets, said to a real Postfix and to Postern: who is refused for it.
import { connect } from "node:net";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import access from "@postern/plugin-access";
import { createTestGateway, type TestGateway } from "@postern/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith, startPostfix, temporaryFolder, type PostfixPeer } from "../services/index.ts";

const mail = "MAIL FROM:<a@there.test>\r\n";
const rcpt = "RCPT TO:<alice@example.test>\r\n";
const data = "DATA\r\n";

/** Each packet is sent when all its predecessor's commands are answered. */
const cases: readonly (readonly string[])[] = [
  ["EHLO c.test\r\n", mail, rcpt, data, "x: y\r\n.\r\n"],
  ["EHLO c.test\r\n", mail + rcpt + data, "x: y\r\n.\r\n"],
  ["HELO c.test\r\n", mail, rcpt, data, "x: y\r\n.\r\n"],
  ["HELO c.test\r\n", mail + rcpt, data],
  ["HELO c.test\r\n", mail + rcpt + data],
  [`EHLO c.test\r\n${mail}`, rcpt],
  [`HELO c.test\r\n${mail}`, rcpt],
  [`NOOP\r\nEHLO c.test\r\n`, mail, rcpt],
  // Not VRFY, whose own answer Postfix makes by the list for recipients.
  ...["NOOP", "RSET", "HELO d.test", "EHLO d.test", "NONSENSE"].flatMap((command) => [
    ["EHLO c.test\r\n", `${command}\r\n${mail}${rcpt}`],
    ["EHLO c.test\r\n", `RSET\r\n${command}\r\n`, mail, rcpt],
  ]),
  // Said once, known for good.
  ["EHLO c.test\r\n", "NOOP\r\nNOOP\r\n", "RSET\r\n", "EHLO c.test\r\n", mail, rcpt],
  ["EHLO c.test\r\n", `${mail}${rcpt}${data}.\r\n`],
];

/** Replies to all commands, without their texts. */
async function converse(stream: Duplex, packets: readonly string[]): Promise<string[]> {
  let heard = "";
  let answered: () => void = () => {};
  let wanted = 1;
  stream.on("data", (chunk: Buffer) => {
    console.log(chunk.toString());
    heard += chunk.toString("latin1");
    if (codesOf(heard).length >= wanted) answered();
  });
  const hear = async (count: number): Promise<void> => {
    wanted = count;
    if (codesOf(heard).length < count) await new Promise<void>((resolve) => (answered = resolve));
  };
  await hear(1);
  for (const packet of packets) {
    const content = /^x: y/m.test(packet) ? 1 : 0;
    // In process an answer may be there as soon as the command is said.
    const count = codesOf(heard).length + packet.split("\r\n").length - 1 - content;
    stream.write(packet);
    await hear(count);
  }
  // A server that hangs up on what it has not read resets the connection.
  const ended = new Promise<void>((resolve) => void stream.once("end", resolve).once("error", () => resolve()));
  stream.write("QUIT\r\n");
  await ended;
  stream.destroy();
  return codesOf(heard);
}

function codesOf(text: string): string[] {
  return [...text.matchAll(/^(\d{3}(?: \d\.\d\.\d+)?)(?: .*)?\r\n/gm)].map(([, code = ""]) => code);
}

describeWith(["postfix", "root"], "pipelining, the same as Postfix", () => {
  const home = temporaryFolder();
  let postfix: PostfixPeer;
  let gateway: TestGateway;
  beforeAll(async () => {
    const list = "reject_unauth_pipelining";
    postfix = await startPostfix({
      folder: home.path,
      main: {
        smtpd_recipient_restrictions: list,
        smtpd_data_restrictions: list,
        smtpd_error_sleep_time: "0",
        disable_vrfy_command: "no",
      },
    });
    gateway = await createTestGateway(
      { domains: { relay: { domains: ["example.test"] } }, policy: { rcpt: [list], data: [list] } },
      { plugins: [access] },
    );
  });
  afterAll(async () => {
    await gateway?.close();
    await postfix?.stop();
    home[Symbol.dispose]();
  });

  test.each(cases.map((packets) => ({ packets })))("$packets", async ({ packets }) => {
    const socket = connect(postfix.port, postfix.host);
    await once(socket, "connect");
    const theirs = await converse(socket, packets);
    const ours = await converse(gateway.connect({ remoteAddress: "192.0.2.1" }), packets);
    const refused = (codes: readonly string[]) => codes.filter((code) => code === "503 5.5.0").length;
    expect(`${refused(ours)}: ${ours.join(", ")}`).toBe(`${refused(theirs)}: ${ours.join(", ")}`);
  });
});
