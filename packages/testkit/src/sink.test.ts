/* oxlint-disable unicorn/no-thenable -- a script says what happens then */
import { afterEach, describe, expect, test } from "vitest";
import { smtp } from "./dialogue.ts";
import { createSink, type Sink, type SinkOptions } from "./sink.ts";

const sinks: Sink[] = [];
afterEach(async () => {
  await Promise.all(sinks.splice(0).map((sink) => sink.close()));
});

async function start(options: SinkOptions = {}): Promise<Sink> {
  const sink = await createSink(options);
  sinks.push(sink);
  return sink;
}

test("content is kept to the octet: stuffed dots, empty lines, bytes above 127", async () => {
  const sink = await start();
  const dialogue = smtp(sink)
    .say("MAIL FROM:<a@x.test>")
    .say("RCPT TO:<b@y.test> NOTIFY=NEVER")
    .say("DATA")
    .expect(/^354/);
  await dialogue.raw(Buffer.from("..one\r\n\r\n.two\r\n..\r\n\u00ff\r\n.\r\n", "latin1")).read().expect("250 2.0.0 Ok");
  const [message] = await sink.received(1);
  expect(message).toMatchObject({
    mail: "MAIL FROM:<a@x.test>",
    rcpt: ["RCPT TO:<b@y.test> NOTIFY=NEVER"],
    session: 1,
    tls: false,
  });
  expect(message?.content.toString("latin1")).toBe(".one\r\n\r\n.two\r\n.\r\n\u00ff\r\n");
});

test("an empty message, BDAT in two chunks, and pipelining", async () => {
  const sink = await start();
  await smtp(sink)
    .pipeline("MAIL FROM:<>", "RCPT TO:<b@y.test>", "DATA")
    .expect(/^354/)
    .raw(".\r\n")
    .read()
    .expect(/^250/)
    .pipeline("MAIL FROM:<>", "RCPT TO:<b@y.test>")
    .raw("BDAT 3\r\na\r\nBDAT 4 LAST\r\n.\r\nb")
    .read()
    .read()
    .expect("250 2.0.0 Ok")
    .say("QUIT")
    .expect(/^221/)
    .closed();
  expect((await sink.received(2)).map(({ content }) => content.toString())).toEqual(["", "a\r\n.\r\nb"]);
});

describe("a script", () => {
  test("answers in place of the sink, by recipient too; what it refuses is not accepted", async () => {
    const sink = await start({
      script: ({ point, line }) => {
        if (point === "RCPT" && line.includes("bad@")) return "550 5.1.1 no such user";
        return point === "MESSAGE" ? "452 4.3.1 full" : undefined;
      },
    });
    await smtp(sink)
      .say("MAIL FROM:<a@x.test>")
      .say("RCPT TO:<bad@y.test>")
      .expect("550 5.1.1 no such user")
      .say("RCPT TO:<b@y.test>")
      .expect(/^250/)
      .data("Subject: x\n\n.dot\n")
      .expect("452 4.3.1 full");
    expect(sink.transactions).toEqual([]);
  });

  test.each(["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "MESSAGE"])("may cut the line at %s", async (at) => {
    const sink = await start({ script: ({ point }) => (point === at ? { then: "reset" } : undefined) });
    const talk = smtp(sink, { bare: true }).say("EHLO x").say("MAIL FROM:<>").say("RCPT TO:<b@y.test>").data("x\n");
    await expect(Promise.resolve(talk)).rejects.toThrow(/hung up/);
    expect([sink.transactions.length, sink.sessions]).toEqual([0, 1]);
  });

  test("may wait for an event of the test", async () => {
    const gate = Promise.withResolvers<undefined>();
    const sink = await start({ script: ({ point }) => (point === "MAIL" ? gate.promise : undefined) });
    let answered = false;
    const talk = smtp(sink).say("MAIL FROM:<>");
    void Promise.resolve(talk).then(() => (answered = true));
    await expect.poll(() => sink.commands.length).toBe(2);
    expect(answered).toBe(false);
    gate.resolve(undefined);
    await talk.expect("250 2.1.0 Ok");
  });
});

test("what was not expected is told with the whole conversation", async () => {
  const sink = await start();
  const talk = smtp(sink).say("NOOP").expect(/^550/);
  await expect(Promise.resolve(talk)).rejects.toThrow(
    /expected \/\^550\/, got "250 2\.0\.0 Ok"\n[^]*C: NOOP\nS: 250 2\.0\.0 Ok/,
  );
});
