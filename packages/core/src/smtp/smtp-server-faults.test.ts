// Every fault found in smtp-server 3.21.6, mended. Each test is named after its fault.
import { connect } from "node:net";
import { once } from "node:events";
import { createFakeClock } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { defer, reject } from "../model/index.ts";
import { createFront, Talk } from "./front.fixture.ts";

describe("smtp-server faults", () => {
  test("1: parameters of a refused MAIL do not leak into the next", async () => {
    const front = await createFront({
      taps: ({ smtp }) => smtp.mail.tap((sender) => (sender === "bad@there.test" ? defer("no") : undefined)),
    });
    const talk = await front.greeted();
    expect(await talk.say("MAIL FROM:<bad@there.test> SMTPUTF8 BODY=8BITMIME RET=HDRS ENVID=x")).toMatch(/^450 /);
    for (const line of ["MAIL FROM:<good@there.test>", "RCPT TO:<b@ours.test>", "DATA", "x: y\r\n."])
      await talk.say(line);
    expect(front.queue[0]?.message.envelope).toMatchObject({ body: "7bit", smtputf8: false });
    expect(front.queue[0]?.message.envelope).not.toHaveProperty("ret");
    expect(front.queue[0]?.message.envelope).not.toHaveProperty("envid");
  });

  test("2: a recipient given twice gets a reply each time and the message once", async () => {
    const front = await createFront();
    const talk = await front.greeted();
    talk.send(
      "MAIL FROM:<a@there.test>\r\nRCPT TO:<b@ours.test>\r\nRCPT TO:<b@OURS.TEST>\r\nRCPT TO:<B@ours.test>\r\n",
    );
    expect((await talk.replies(4)).map((reply) => reply.slice(0, 3))).toEqual(["250", "250", "250", "250"]);
    await talk.say("DATA");
    await talk.say("x: y\r\n.");
    // The local part is its owner's to fold (RFC 5321 §2.4).
    expect(front.queue[0]?.message.envelope.recipients.map(({ address }) => address)).toEqual([
      "b@ours.test",
      "B@ours.test",
    ]);
  });

  test("3: an answer that comes twice is one reply", async () => {
    const twice = {
      // oxlint-disable-next-line unicorn/no-thenable
      then(resolve: (answer: unknown) => void): void {
        resolve(undefined);
        resolve(reject("second"));
      },
    };
    const front = await createFront({
      taps: ({ smtp }) => smtp.mail.tap(() => twice as unknown as Promise<undefined>),
    });
    const talk = await front.greeted();
    expect(await talk.say("MAIL FROM:<a@there.test>")).toMatch(/^250 /);
    expect(await talk.say("NOOP")).toMatch(/^250 2\.0\.0 /);
  });

  test("4: a limit is what the settings say, and is not replaced by another", async () => {
    const front = await createFront({ limits: { junkCommands: Infinity } });
    const talk = await front.greeted();
    talk.send("NOOP\r\n".repeat(500));
    expect(new Set(await talk.replies(500))).toEqual(new Set(["250 2.0.0 Ok"]));
  });

  test("5: unknown parameters get 555, addresses beyond ASCII need SMTPUTF8", async () => {
    const talk = await (await createFront()).greeted();
    expect(await talk.say("MAIL FROM:<a@there.test> FOO=bar")).toMatch(/^555 5\.5\.4 /);
    expect(await talk.say("MAIL FROM:<\u00c3\u00bc@there.test>")).toMatch(/^553 5\.6\.7 /);
    await talk.say("MAIL FROM:<a@there.test>");
    expect(await talk.say("RCPT TO:<b@ours.test> FOO=bar")).toMatch(/^555 5\.5\.4 /);
    expect(await talk.say("RCPT TO:<\u00c3\u00bc@ours.test>")).toMatch(/^553 5\.6\.7 /);
  });

  test("6: quoted local parts are addresses, and domains stay as they were written", async () => {
    const front = await createFront();
    const talk = await front.greeted();
    await talk.say('MAIL FROM:<"a b"@xn--mnchen-3ya.test>');
    expect(await talk.say('RCPT TO:<"c d"@ours.test>')).toMatch(/^250 /);
    await talk.say("DATA");
    await talk.say("x: y\r\n.");
    expect(front.queue[0]?.message.envelope.sender).toBe('"a b"@xn--mnchen-3ya.test');
    expect(front.queue[0]?.message.envelope.recipients[0]?.address).toBe('"c d"@ours.test');
  });

  test("7: a handler that never answers is answered for", async () => {
    const clock = createFakeClock();
    const front = await createFront({ clock, taps: ({ smtp }) => smtp.mail.tap(() => new Promise(() => {})) });
    const talk = await front.greeted();
    const answered = talk.say("MAIL FROM:<a@there.test>");
    await clock.run(10_000);
    expect(await answered).toMatch(/^451 4\.3\.0 /);
    expect(await talk.say("NOOP")).toMatch(/^250 /);
  });

  describe("8: limits of commands, errors, time and rate", () => {
    test("junk commands", async () => {
      const talk = await (await createFront({ limits: { junkCommands: 10, errors: 3 } })).greeted();
      talk.send("NOOP\r\n".repeat(100));
      const said = await talk.rest();
      expect(said).toMatch(/^(?:250 2\.0\.0 Ok\r\n){12}421 4\.7\.0 Too many errors[^\r]*\r\n$/);
    });

    test("refusals for now, but of recipients", async () => {
      const limits = { junkCommands: 10, errors: 3 };
      const talk = await (await createFront({ limits, hasRoom: () => false })).greeted();
      talk.send("MAIL FROM:<a@there.test>\r\n".repeat(100));
      expect(await talk.rest()).toMatch(/^(?:452 4\.3\.1 [^\r]*\r\n){13}421 4\.7\.0 Too many errors[^\r]*\r\n$/);
      const putOff = await createFront({ limits, taps: ({ smtp }) => smtp.rcpt.tap(() => defer("later")) });
      const patient = await putOff.greeted();
      patient.send(`MAIL FROM:<a@there.test>\r\n${"RCPT TO:<b@ours.test>\r\n".repeat(100)}QUIT\r\n`);
      expect(await patient.rest()).toMatch(/^250 [^\r]*\r\n(?:450 4\.7\.1 later\r\n){100}221 /);
    });

    test("the same recipient again and again", async () => {
      const talk = await (await createFront({ limits: { recipients: 2, errors: 3 } })).greeted();
      talk.send(`MAIL FROM:<a@there.test>\r\n${"RCPT TO:<b@ours.test>\r\n".repeat(2000)}`);
      const said = await talk.rest();
      expect(said).toMatch(/^(?:250 [^\r]*\r\n){1003}(?:452 4\.5\.3 [^\r]*\r\n){3}421 4\.7\.0 [^\r]*\r\n$/);
    });

    test("errors, and a message that begins anew", async () => {
      const front = await createFront({ limits: { errors: 2 } });
      const talk = await front.greeted();
      for (const round of [1, 2]) {
        expect((await talk.say("FOO")).slice(0, 3)).toBe("500");
        expect([round, (await talk.say("FOO")).slice(0, 3)]).toEqual([round, "500"]);
        for (const line of ["MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>", "DATA", "x: y\r\n."])
          await talk.say(line);
      }
      talk.send("FOO\r\nFOO\r\nFOO\r\nNOOP\r\n");
      expect(await talk.rest()).toMatch(/^(?:500 [^\r]*\r\n){3}421 4\.7\.0 [^\r]*\r\n$/);
    });

    test("a client that says nothing", async () => {
      const clock = createFakeClock();
      const talk = (await createFront({ clock })).connect();
      expect(await talk.reply()).toMatch(/^220 /);
      await clock.run(299_000);
      expect(talk.ended).toBe(false);
      await clock.run(2_000);
      expect(await talk.rest()).toMatch(/^421 4\.4\.2 /);
    });

    test("a command that never ends, octet by octet", async () => {
      const clock = createFakeClock();
      const talk = await (await createFront({ clock })).greeted();
      for (const octet of "NOOPNOOP") {
        talk.send(octet);
        await clock.run(60_000);
      }
      expect(await talk.rest()).toMatch(/^421 4\.4\.2 /);
    });

    test.each([
      ["as a whole", { dataTimeoutMs: 600_000, minRateBytesPerSecond: 0 }],
      ["its rate", { dataTimeoutMs: 3_600_000, minRateBytesPerSecond: 100 }],
    ])("content: %s", async (_, limits) => {
      const clock = createFakeClock();
      const front = await createFront({ clock, limits });
      const talk = await front.greeted();
      for (const line of ["MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>", "DATA"]) await talk.say(line);
      let minutes = 0;
      while (!talk.ended && minutes < 30) {
        talk.send("x: y\r\n".repeat(10));
        await clock.run(60_000);
        minutes += 1;
      }
      expect(minutes).toBeGreaterThanOrEqual(2);
      expect(minutes).toBeLessThanOrEqual(11);
      expect(await talk.rest()).toMatch(/^421 4\.4\.2 /);
      expect(front.queue).toEqual([]);
    });

    test("content that comes fast enough is not hurried", async () => {
      const clock = createFakeClock();
      const front = await createFront({ clock });
      const talk = await front.greeted();
      for (const line of ["MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>", "DATA"]) await talk.say(line);
      for (let minute = 0; minute < 30; minute += 1) {
        talk.send(`${"x".repeat(998)}\r\n`.repeat(8));
        await clock.run(60_000);
      }
      expect(await talk.say(".")).toMatch(/^250 /);
    });
  });

  test("9: an over-long line gets 500 and the session goes on", async () => {
    const talk = await (await createFront()).greeted();
    for (const length of [2043, 2044, 5000, 100_000]) {
      expect(await talk.say(`NOOP ${"x".repeat(length - 2)}`)).toMatch(length < 2044 ? /^250 / : /^500 5\.5\.2 /);
    }
    expect(await talk.say("NOOP")).toMatch(/^250 /);
  });

  test("10: the enhanced code is the reply's own, and a text cannot add a line", async () => {
    const front = await createFront({
      taps: ({ smtp }) => smtp.mail.tap(() => reject("unauthenticated\r\n250 Ok", "5.7.26")),
    });
    const talk = await front.greeted();
    expect(await talk.say("MAIL FROM:<a@there.test>")).toBe("550 5.7.26 unauthenticated 250 Ok");
    expect(await talk.say("NOOP")).toBe("250 2.0.0 Ok");
  });

  test("11: DATA is asked about before 354", async () => {
    const front = await createFront({ taps: ({ smtp }) => smtp.data.tap(() => defer("busy")) });
    const talk = await front.greeted();
    for (const line of ["MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>"]) await talk.say(line);
    expect(await talk.say("DATA")).toBe("450 4.7.1 busy");
    expect(await talk.say("NOOP")).toBe("250 2.0.0 Ok");
  });

  test("12: no fixed delay before the greeting, and who speaks before it is refused", async () => {
    const clock = createFakeClock();
    const front = await createFront({ clock });
    // No time passes on this clock: a delay would wait for ever.
    expect(await front.connect().reply()).toMatch(/^220 /);
    const early = front.connect();
    early.send("EHLO client.test\r\n");
    expect(await early.rest()).toMatch(/^554 5\.5\.0 [^\r]*\r\n$/);
    const late = await createFront({ taps: ({ smtp }) => smtp.connect.tap(() => new Promise(() => {})) });
    const talk = late.connect();
    await new Promise((resolve) => setImmediate(resolve));
    talk.send("E");
    expect(await talk.rest()).toMatch(/^554 5\.5\.0 /);
  });

  test.each(["WIZ", "SHELL", "KILL"])("13: %s is no command", async (verb) => {
    const talk = await (await createFront()).greeted();
    expect(await talk.say(verb)).toMatch(/^500 5\.5\.1 /);
  });

  test("13: without a key there is no TLS", async () => {
    await expect(createFront({ listener: { tls: "implicit" } })).rejects.toThrow(/needs tls\.key/);
    const talk = await (await createFront()).greeted();
    expect(talk.transcript).not.toContain("STARTTLS");
    expect(await talk.say("STARTTLS")).toMatch(/^502 /);
  });

  test("15: the end of a transaction and of a session are events", async () => {
    const seen: string[] = [];
    const front = await createFront({
      taps: ({ smtp }) => {
        smtp.reset.tap(({ sender }) => void seen.push(`reset ${sender}`));
        smtp.closed.tap(() => void seen.push("closed"));
      },
    });
    const talk = await front.greeted();
    await talk.say("MAIL FROM:<a@there.test>");
    await talk.say("RSET");
    await talk.say("MAIL FROM:<b@there.test>");
    await talk.say("EHLO again.test");
    await talk.say("MAIL FROM:<c@there.test>");
    talk.stream.destroy();
    await front.idle();
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual(["reset a@there.test", "reset b@there.test", "reset c@there.test", "closed"]);
  });

  test("smuggling and commands that end in LF alone, over a real socket", async () => {
    const front = await createFront({ networks: [] });
    const { port } = await front.listener.listen();
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const talk = new Talk(socket);
    expect(await talk.reply()).toMatch(/^220 /);
    expect(await talk.say("EHLO client.test")).toMatch(/^250-/);
    socket.write("MAIL FROM:<a@there.test>\nRCPT TO:<b@ours.test>\nDATA\n");
    expect((await talk.replies(3)).every((reply) => reply.startsWith("500 5.5.2 "))).toBe(true);
    for (const line of ["MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>", "DATA"]) await talk.say(line);
    expect(await talk.say("x\r\n.\nMAIL FROM:<evil@there.test>\r\n.")).toMatch(/^550 5\.5\.2 /);
    expect(await talk.say("QUIT")).toMatch(/^221 /);
    expect(await talk.rest()).toBe("");
    await front.listener.close(1000);
    expect(front.queue).toEqual([]);
  });
});
