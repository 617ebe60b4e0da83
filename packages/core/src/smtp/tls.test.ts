// STARTTLS and implicit TLS, without a port.
import { connect } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { once } from "node:events";
import tlsOptions from "smtp-server/lib/tls-options.js";
import { describe, expect, test } from "vitest";
import { reject, type TlsInfo } from "../model/index.ts";
import { createFront, Talk } from "./front.fixture.ts";
import { serverOf } from "./listener.ts";

/** smtp-server's key for tests, known to everybody: here it is what it is for. */
const { key, cert } = tlsOptions({}) as { key: string; cert: string };
const tls = { key, cert };

async function encrypt(talk: Talk, more: ConnectionOptions = {}): Promise<Talk> {
  const { stream } = talk;
  stream.removeAllListeners("data");
  const secure = connectTls({ socket: stream, rejectUnauthorized: false, servername: "mx.ours.test", ...more });
  await once(secure, "secureConnect");
  return new Talk(secure);
}

describe("STARTTLS", () => {
  test.each([
    ["ECDHE-RSA-AES128-GCM-SHA256", 128],
    ["ECDHE-RSA-AES256-GCM-SHA384", 256],
    ["ECDHE-RSA-AES128-SHA", 128],
    ["ECDHE-RSA-CHACHA20-POLY1305", 256],
  ])("%s has %i bits", async (ciphers, bits) => {
    let known: TlsInfo | undefined;
    const front = await createFront({ tls, taps: ({ smtp }) => smtp.tls.tap((session) => void (known = session.tls)) });
    const talk = await front.greeted();
    await talk.say("STARTTLS");
    const secure = await encrypt(talk, { maxVersion: "TLSv1.2", ciphers });
    expect(await secure.say("EHLO client.test")).toMatch(/^250/);
    expect(known).toMatchObject({ protocol: "TLSv1.2", cipher: ciphers, bits });
  });

  test("offered with a key; afterwards nothing said before is known", async () => {
    const front = await createFront({ tls });
    const talk = await front.greeted();
    expect(talk.transcript).toContain("250-STARTTLS\r\n");
    expect(await talk.say("STARTTLS")).toBe("220 2.0.0 Ready to start TLS");
    const secure = await encrypt(talk);
    expect(await secure.say("MAIL FROM:<a@there.test>")).toMatch(/^503 5\.5\.1 /);
    expect(await secure.say("EHLO client.test")).not.toContain("STARTTLS");
    expect(await secure.say("STARTTLS")).toMatch(/^503 5\.5\.1 /);
    for (const line of ["MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>", "DATA"]) await secure.say(line);
    expect(await secure.say("x: y\r\n.")).toMatch(/^250 /);
    expect(front.queue[0]?.text).toMatch(
      /\r\n\t\(using TLSv1\.3 with cipher TLS_\w+ \(\d+\/\d+ bits\)\)\r\n\tby mx\.ours\.test with ESMTPS id/,
    );
    secure.stream.end();
    await secure.rest();
    await front.idle();
  });

  test("what is pipelined behind it in clear is dropped", async () => {
    const front = await createFront({ tls });
    const talk = await front.greeted();
    talk.send("STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@there.test>\r\nRCPT TO:<b@ours.test>\r\n");
    expect(await talk.reply()).toMatch(/^220 /);
    const secure = await encrypt(talk);
    expect(await secure.say("RCPT TO:<b@ours.test>")).toMatch(/^503 5\.5\.1 Send EHLO/);
    expect(await secure.say("NOOP")).toBe("250 2.0.0 Ok");
    expect(talk.transcript).not.toContain("evil");
    secure.stream.destroy();
  });

  test("a hook's objection refuses everything but QUIT", async () => {
    const front = await createFront({ tls, taps: ({ smtp }) => smtp.tls.tap(() => reject("weak", "5.7.4")) });
    const talk = await front.greeted();
    await talk.say("STARTTLS");
    const secure = await encrypt(talk);
    expect(await secure.say("EHLO client.test")).toBe("550 5.7.4 weak");
    expect(await secure.say("NOOP")).toBe("550 5.7.4 weak");
    expect(await secure.say("FOO")).toBe("550 5.7.4 weak");
    expect(await secure.say("QUIT")).toBe("221 2.0.0 Bye");
    secure.stream.destroy();
  });

  test("a handshake that is none ends the session", async () => {
    const front = await createFront({ tls });
    const talk = await front.greeted();
    await talk.say("STARTTLS");
    talk.send("EHLO client.test\r\n");
    await talk.rest();
    await front.idle();
  });
});

test("implicit TLS", async () => {
  const front = await createFront({ tls, listener: { tls: "implicit" } });
  const talk = await encrypt(front.connect());
  expect(await talk.reply()).toMatch(/^220 /);
  expect(await talk.say("EHLO client.test")).not.toContain("STARTTLS");
  talk.stream.destroy();
});

test("a handshake that does not come counts as a session of its client", async () => {
  const limits = { sessionsPerClient: 2 };
  const front = await createFront({ tls, listener: { tls: "implicit" }, limits, networks: [] });
  const { port } = await front.listener.listen();
  const open = (localAddress: string) => connect({ port, host: "127.0.0.1", localAddress });
  const silent = [open("127.0.0.2"), open("127.0.0.2")];
  await Promise.all(silent.map((socket) => once(socket, "connect")));
  expect(await new Talk(open("127.0.0.2")).rest()).toBe("");
  expect(front.lines()).toEqual(["NOQUEUE: turned away: 127.0.0.2: too many sessions (client)"]);
  const other = await encrypt(new Talk(open("127.0.0.3")));
  expect(await other.reply()).toMatch(/^220 /);
  for (const socket of silent) socket.resetAndDestroy();
  while (serverOf(front.listener)._pendingSockets.size > 0) await new Promise((resolve) => setImmediate(resolve));
  const late = await encrypt(new Talk(open("127.0.0.2")));
  expect(await late.reply()).toMatch(/^220 /);
  late.stream.destroy();
  other.stream.destroy();
  await front.listener.close(0);
});

test("a handshake that fails is logged with its client, not as a fault of ours", async () => {
  const front = await createFront({ tls, listener: { tls: "implicit" } });
  const { port } = await front.listener.listen();
  const talk = new Talk(connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2" }));
  talk.send("EHLO client.test\r\n");
  await talk.rest();
  while (front.events.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(front.lines()).toEqual([expect.stringMatching(/^NOQUEUE: turned away: 127\.0\.0\.2: TLS handshake failed: /)]);
  await front.listener.close(0);
});
