// The plugin in a whole gateway in memory, with scripted milters on real sockets: every command, every ruling, every way to lose one.
import { createTestGateway, smtp } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { allSteps, steps, type CommandKind, type Response } from "../protocol/index.ts";
import plugin from "../index.ts";
import { config, deliver, mail, startOne } from "./gateway.fixture.ts";
import { poll } from "./poll.fixture.ts";
import { replies, startScriptedMilter, type ScriptedMilter, type ScriptedOptions } from "./scripted-milter.fixture.ts";

describe("what a milter is told", () => {
  const whole = [
    "connect [192.0.2.1] 192.0.2.1",
    "helo client.example.net",
    "mail <a@example.net>",
    "recipient <b@example.test>",
    "data",
    "header From:a@example.net",
    "header To:b@example.test",
    "header Subject:one\n two",
    "endOfHeaders",
    "body 8",
    "endOfMessage",
  ];
  const without = (...kinds: string[]) => whole.filter((line) => !kinds.includes(line.split(" ")[0] ?? ""));

  test.each<[what: string, terms: NonNullable<ScriptedOptions["terms"]>, heard: readonly string[]]>([
    ["all of it", () => ({}), whole],
    ["version 2 knows no DATA", () => ({ version: 2, actions: 0x3f }), without("data")],
    ["version 3 neither", () => ({ version: 3, actions: 0 }), without("data")],
    ["version 4", () => ({ version: 4, actions: 0 }), whole],
    ["not connect", () => ({ steps: steps.noConnect }), without("connect")],
    ["not helo", () => ({ steps: steps.noHelo }), without("helo")],
    ["not mail", () => ({ steps: steps.noMail }), without("mail")],
    ["no recipients", () => ({ steps: steps.noRecipient }), without("recipient")],
    ["no data", () => ({ steps: steps.noData }), without("data")],
    ["no headers", () => ({ steps: steps.noHeaders }), without("header")],
    ["no end of headers", () => ({ steps: steps.noEndOfHeaders }), without("endOfHeaders")],
    ["no body", () => ({ steps: steps.noBody }), without("body")],
    [
      "nothing but the end",
      () => ({ steps: 0x37f }),
      without("connect", "helo", "mail", "recipient", "data", "header", "endOfHeaders", "body"),
    ],
    [
      "the blank behind the colon",
      () => ({ steps: steps.leadingSpace }),
      whole.map((line) => line.replace(/^(header \w+:)/, "$1 ")),
    ],
  ])("%s", async (_, terms, heard) => {
    const { gateway, milter } = await startOne({ terms });
    await deliver(gateway).expect(/^250/).say("QUIT");
    await poll(() => milter.heard).toEqual([...heard, "quit"]);
    await poll(() => milter.open).toBe(0);
  });

  test("commands that it does not answer are not waited for, and all of them come", async () => {
    const { gateway, milter } = await startOne({
      terms: () => ({ steps: allSteps & ~0x37f & ~steps.skip }),
      script: Object.fromEntries(
        (["connect", "helo", "mail", "recipient", "data", "header", "endOfHeaders", "body", "unknown"] as const).map(
          (kind) => [kind, () => []],
        ),
      ),
    });
    await deliver(gateway).expect(/^250/).say("QUIT");
    await poll(() => milter.heard).toEqual([...whole.map((line) => line.replace(/^(header \w+:)/, "$1 ")), "quit"]);
  });

  test("a milter that minds nothing before MAIL costs no connection before MAIL, once it is known", async () => {
    const { gateway, milter } = await startOne({ terms: () => ({ steps: steps.noConnect | steps.noHelo }) });
    await deliver(gateway).expect(/^250/).say("QUIT");
    expect(milter.connections).toBe(1);
    await smtp(gateway).say("NOOP").say("QUIT").closed();
    expect(milter.connections).toBe(1);
    await deliver(gateway).expect(/^250/).say("QUIT");
    expect(milter.connections).toBe(2);
  });

  test("a body in pieces of 64 KiB, or larger ones that were agreed on", async () => {
    const long = `Subject: x\r\n\r\n${`${"x".repeat(998)}\r\n`.repeat(150)}`;
    const small = await startOne();
    await deliver(small.gateway, long).expect(/^250/);
    const large = await startOne({ terms: () => ({ steps: steps.packets256K }), given: { largePackets: true } });
    await deliver(large.gateway, long).expect(/^250/);
    const bodies = ({ heard }: ScriptedMilter) => heard.filter((line) => line.startsWith("body"));
    expect(bodies(small.milter)).toEqual(["body 65535", "body 65535", "body 18930"]);
    expect(bodies(large.milter)).toEqual(["body 150000"]);
    expect(small.milter.body()).toBe(long.slice(14));
    expect(small.milter.offers[0]?.steps).toBe(0x1fffff);
    expect((large.milter.offers[0]?.steps ?? 0) >>> 0).toBe(0x301fffff);
  });

  test("an older protocol where the config says so", async () => {
    const { gateway, milter } = await startOne({ given: { protocol: 2 } });
    await deliver(gateway).expect(/^250/);
    expect(milter.offers).toEqual([{ kind: "negotiate", version: 2, actions: 0x3f, steps: 0x7f }]);
  });

  test("macros by stage, those of the config, and those it asks for itself", async () => {
    const usual = await startOne();
    await deliver(usual.gateway).expect(/^250/);
    const macros = ({ commands }: ScriptedMilter) =>
      commands.flatMap((command) => (command.kind === "macros" ? [[command.of, { ...command.macros }] as const] : []));
    const id = expect.stringMatching(/^\w+$/);
    expect(macros(usual.milter)).toEqual([
      [
        "C",
        {
          j: "mx.example.test",
          "{daemon_name}": "mx.example.test",
          "{daemon_addr}": expect.any(String),
          v: "Postern",
          _: "unknown [192.0.2.1]",
        },
      ],
      ["H", {}],
      ["M", { i: id, "{mail_addr}": "a@example.net", "{mail_host}": "example.net", "{mail_mailer}": "smtp" }],
      ["R", { i: id, "{rcpt_addr}": "b@example.test", "{rcpt_host}": "example.test", "{rcpt_mailer}": "relay" }],
      ["T", { i: id }],
      ["N", { i: id }],
      ["E", { i: id }],
    ]);
    const own = await startOne({
      terms: () => ({ macros: { mail: ["{client_port}", "{client_connections}"], data: [] } }),
      given: {
        macros: { helo: ["{daemon_name}"], mail: ["i"], data: ["i"] },
        macroValues: { "{daemon_name}": "ORIGINATING" },
      },
    });
    await deliver(own.gateway).expect(/^250/);
    expect(macros(own.milter).filter(([of]) => "HMT".includes(of))).toEqual([
      ["H", { "{daemon_name}": "ORIGINATING" }],
      ["M", { "{client_port}": expect.stringMatching(/^\d+$/), "{client_connections}": "1" }],
    ]);
  });

  test("RSET, a second message, unknown commands, and a client that only leaves", async () => {
    const { gateway, milter } = await startOne({ terms: () => ({ steps: steps.noHeaders | steps.noBody }) });
    await smtp(gateway)
      .say("WIZ now")
      .expect(/^500/)
      .say("MAIL FROM:<a@example.net>")
      .say("RSET")
      .expect(/^250/)
      .pipeline("MAIL FROM:<c@example.net>", "RCPT TO:<b@example.test>", "RSET", "MAIL FROM:<d@example.net>")
      .hangUp();
    await poll(() => milter.heard).toEqual([
      "connect [192.0.2.1] 192.0.2.1",
      "helo client.example.net",
      "unknown WIZ now",
      "mail <a@example.net>",
      "abort",
      "mail <c@example.net>",
      "recipient <b@example.test>",
      "abort",
      "mail <d@example.net>",
      "abort",
      "quit",
    ]);
  });

  test("behind a DATA that was refused the message is told anew: libmilter would never answer", async () => {
    const { gateway, milter } = await startOne({
      script: { data: (_, count) => [count === 1 ? replies.tempfail : replies.continue] },
    });
    await smtp(gateway)
      .say("MAIL FROM:<a@example.net>")
      .say("RCPT TO:<b@example.test>")
      .say("DATA")
      .expect(/^451/)
      .say("RCPT TO:<c@example.test>")
      .expect(/^250/)
      .data(mail)
      .expect(/^250/);
    expect(milter.heard.slice(4, 11)).toEqual([
      "data",
      "abort",
      "mail <a@example.net>",
      "recipient <b@example.test>",
      "recipient <c@example.test>",
      "data",
      "header From:a@example.net",
    ]);
  });

  test("XCLIENT makes another client of it, and another session for the milter", async () => {
    const milter = await startScriptedMilter();
    const gateway = await createTestGateway(
      { ...config, listeners: [{ name: "test", host: "127.0.0.1", port: 25, xclient: ["192.0.2.1"] }] },
      { plugins: [[plugin, { milters: [{ address: milter.address, onError: "defer" }] }]] },
    );
    await smtp(gateway)
      .say("XCLIENT ADDR=2001:db8::7 NAME=client.example.org".replace("ADDR=", "ADDR=IPV6:"))
      .expect(/^220 /)
      .say("EHLO again")
      .say("MAIL FROM:<a@example.net>")
      .expect(/^250/)
      .hangUp();
    await poll(() => milter.open).toBe(0);
    const connections = milter.heard.filter((line) => line !== "quit");
    expect(milter.heard.filter((line) => line === "quit")).toHaveLength(2);
    expect(connections).toEqual([
      "connect [192.0.2.1] 192.0.2.1",
      "helo client.example.net",
      "connect client.example.org 2001:db8::7",
      "helo again",
      "mail <a@example.net>",
      "abort",
    ]);
    await gateway.close();
    await milter[Symbol.asyncDispose]();
  });

  test("ESMTP parameters", async () => {
    const { gateway, milter } = await startOne();
    await smtp(gateway)
      .say("MAIL FROM:<> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=x")
      .expect(/^250/)
      .say("RCPT TO:<B@Example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@x")
      .expect(/^250/);
    expect(milter.heard.slice(2)).toEqual([
      "mail <> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=x",
      "recipient <B@Example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@x",
    ]);
  });
});

describe("what it says stands at its own command", () => {
  type Case = [ruling: Response, at: CommandKind, said: readonly RegExp[]];
  const refusal: Response = { kind: "replyCode", text: "554-5.7.0 100%% no\r\n554 5.7.0 again" };
  const again: Response = { kind: "replyCode", text: "450 4.2.0 later" };
  const ok = /^250/;
  // Greeting, EHLO, MAIL, RCPT, DATA with message.
  test.each<Case>([
    [replies.reject, "connect", [/^554 5\.7\.1 Command rejected$/]],
    [refusal, "connect", [/^554-5\.7\.0 100% no\n554 5\.7\.0 again$/]],
    [{ kind: "shutdown" }, "connect", [/^421 4\.7\.0/]],
    [replies.tempfail, "connect", [/^220/, ok, /^451 4\.7\.1 Service unavailable/]],
    [again, "helo", [/^220/, ok, /^450 4\.2\.0 later/]],
    [replies.reject, "helo", [/^220/, ok, /^550 5\.7\.1/]],
    [{ kind: "replyCode", text: "421 4.3.2 bye" }, "helo", [/^220/, /^421 4\.3\.2 bye/]],
    [replies.reject, "mail", [/^220/, ok, /^550 5\.7\.1 Command rejected/]],
    [again, "mail", [/^220/, ok, /^450 4\.2\.0 later/]],
    [refusal, "recipient", [/^220/, ok, ok, /^554-5\.7\.0 100% no\n554 5\.7\.0 again$/]],
    [replies.tempfail, "recipient", [/^220/, ok, ok, /^451 4\.7\.1/]],
    [replies.reject, "data", [/^220/, ok, ok, ok, /^550 5\.7\.1/]],
    [{ kind: "shutdown" }, "data", [/^220/, ok, ok, ok, /^421 4\.7\.0/]],
    [replies.reject, "header", [/^220/, ok, ok, ok, /^550 5\.7\.1/]],
    [again, "endOfHeaders", [/^220/, ok, ok, ok, /^450 4\.2\.0/]],
    [replies.reject, "body", [/^220/, ok, ok, ok, /^550 5\.7\.1/]],
    [refusal, "endOfMessage", [/^220/, ok, ok, ok, /^554-5\.7\.0 100% no\n554 5\.7\.0 again$/]],
    [replies.discard, "mail", [/^220/, ok, ok, ok, /^250 2\.0\.0/]],
    [replies.discard, "recipient", [/^220/, ok, ok, ok, /^250 2\.0\.0/]],
    [replies.discard, "endOfMessage", [/^220/, ok, ok, ok, /^250 2\.0\.0/]],
    [replies.accept, "connect", [/^220/, ok, ok, ok, /^250 2\.0\.0/]],
    [replies.accept, "recipient", [/^220/, ok, ok, ok, /^250 2\.0\.0/]],
    [replies.accept, "body", [/^220/, ok, ok, ok, /^250 2\.0\.0/]],
    [replies.discard, "connect", [/^220/, ok, ok, ok, /^250 2\.0\.0/]],
  ])("%j at %s", async (ruling, at, said) => {
    const { gateway, milter } = await startOne({ script: { [at]: () => [ruling] } });
    let dialogue = smtp(gateway, { bare: true });
    const lines = ["EHLO client.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.test>"];
    for (const [index, expected] of said.entries()) {
      if (index > 0 && index < 4) dialogue = dialogue.say(lines[index - 1] as string);
      if (index === 4) dialogue = dialogue.data(mail);
      dialogue = dialogue.expect(expected);
    }
    await dialogue.hangUp();
    await poll(() => milter.open).toBe(0);
    const isTaken =
      said.length === 5 && /250/.test(String(said[4])) && !(ruling.kind === "discard" && at !== "connect");
    expect(gateway.deliveries.length > 0 || (isTaken && (await gateway.delivered(1)).length > 0)).toBe(isTaken);
    expect(milter.heard.filter((line) => line === "endOfMessage").length).toBe(
      at === "endOfMessage" || (ruling.kind === "discard" && at === "connect") ? 1 : 0,
    );
  });
});
