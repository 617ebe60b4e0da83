// Every way to lose a milter, in each stage: its declared policy stands at the command at hand and after it, and nothing stays open.
import { setTimeout as delay } from "node:timers/promises";
import { definePlugin, reject } from "@postern/core";
import { createTestGateway, smtp } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { undisturbed } from "../../../../test/undisturbed.ts";
import plugin from "../index.ts";
import { encodeResponse, type CommandKind, type Response } from "../protocol/index.ts";
import { config, deliver, mail, start, startOne } from "./gateway.fixture.ts";
import { poll } from "./poll.fixture.ts";
import { replies, startScriptedMilter, type Act } from "./scripted-milter.fixture.ts";

const stages = [
  "negotiate",
  "connect",
  "helo",
  "mail",
  "recipient",
  "data",
  "header",
  "endOfHeaders",
  "body",
  "endOfMessage",
] as const satisfies readonly CommandKind[];

/** EHLO to the final dot; what each command was answered with, as far as it went. */
async function converse(gateway: Parameters<typeof smtp>[0]): Promise<string[]> {
  const dialogue = smtp(gateway, { bare: true });
  const said = [await dialogue];
  for (const line of ["EHLO x", "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.test>"]) {
    if (/^(?:554|421)/.test(said.at(-1) ?? "")) return said;
    said.push(await dialogue.say(line));
  }
  if (said.at(-1)?.startsWith("250") === true) said.push(await dialogue.data(mail));
  await dialogue.hangUp();
  return said;
}

const codes = (said: readonly string[]) => said.map((reply) => reply.slice(0, 3)).join(" ");
/** The reply that tells of it: greeting and EHLO never do. */
const after = (stage: (typeof stages)[number]): number => Math.min(Math.max(stages.indexOf(stage) - 1, 2), 4);

const rubbish: readonly [what: string, reason: string, acts: readonly Act[]][] = [
  ["closes", "down", ["close"]],
  ["resets the connection", "down", ["reset"]],
  ["says half a packet and closes", "down", [Buffer.from([0, 0, 0, 2, 0x79]), "close"]],
  ["wants the connection to fail", "down", [{ kind: "connectionFailure" }]],
  ["says nothing", "timeout", []],
  ["says half a packet and no more", "timeout", [Buffer.from([0, 0, 0, 1])]],
  ["packet of no length", "invalid", [Buffer.from([0, 0, 0, 0, 0x63])]],
  ["packet of 4 GiB", "invalid", [Buffer.from([255, 255, 255, 255, 0x63])]],
  ["an unknown letter", "invalid", [Buffer.from([0, 0, 0, 1, 0x7a])]],
  ["HTTP", "invalid", [Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")]],
  ["a reply that is none", "invalid", [{ kind: "replyCode", text: "250 fine" }]],
  ["a reply without an end", "invalid", [Buffer.from([0, 0, 0, 4, 0x79, 0x35, 0x35, 0x30])]],
];

/** Each of the four ways in every stage, more of the same kind in two. */
const everywhere: ReadonlySet<string> = new Set([
  "closes",
  "says half a packet and closes",
  "says nothing",
  "an unknown letter",
]);

describe.each(rubbish)("%s", (what, reason, acts) => {
  test.each(stages.filter((stage) => everywhere.has(what) || stage === "mail" || stage === "endOfMessage"))(
    "at %s",
    async (stage) => {
      const script = { [stage]: () => acts };
      const given = reason === "timeout" ? { commandTimeout: "40ms", contentTimeout: "40ms" } : {};
      await undisturbed(async () => {
        const { gateway, milter } = await startOne({ script, given });
        const said = await converse(gateway);
        const stands = after(stage);
        const usual = ["220", "250", "250", "250", "250"];
        expect(codes(said.slice(0, stands + 1))).toBe(
          usual
            .slice(0, stands + 1)
            .with(stands, "451")
            .join(" "),
        );
        if (stands < 4) expect(said[stands + 1] ?? "503").toMatch(/^451 4\.7\.1|^503/);
        expect(gateway.deliveries).toEqual([]);
        await poll(() => milter.open).toBe(0);
        // A negotiation answered with a reply code is no reply.
        expect(gateway.log.filter((line) => line.includes("milter m0")).join()).toContain(
          reason === "timeout" ? "within 40 ms" : "",
        );
      });
    },
  );
});

test("every cut of every octet of what it says: late octets are waited for, missing ones are a failure", async () => {
  const refusal = encodeResponse({ kind: "replyCode", text: "554 5.7.0 no" });
  for (let cut = 1; cut < refusal.length; cut += 3) {
    const { gateway } = await start([
      {
        script: { mail: () => [refusal.subarray(0, cut)], recipient: () => [refusal.subarray(cut)] },
        given: { commandTimeout: "30ms" },
      },
    ]);
    await smtp(gateway)
      .say("MAIL FROM:<a@example.net>")
      .expect(/^451 4\.7\.1/);
    const whole = await start([
      { script: { mail: () => Array.from({ length: refusal.length }, (_, at) => refusal.subarray(at, at + 1)) } },
    ]);
    await smtp(whole.gateway).say("MAIL FROM:<a@example.net>").expect("554 5.7.0 no");
  }
});

describe("who answers out of turn is not believed", () => {
  test.each<[what: string, script: Partial<Record<CommandKind, () => readonly Act[]>>]>([
    ["twice", { helo: () => [Buffer.concat([encodeResponse(replies.continue), encodeResponse(replies.accept)])] }],
    [
      "before the end of the message",
      { mail: () => [{ kind: "addHeader", name: "A", value: "b" } satisfies Response] },
    ],
    ["negotiating again", { mail: () => [{ kind: "negotiate", version: 6, actions: 0, steps: 0 } satisfies Response] }],
  ])("%s", async (_, script) => {
    const { gateway } = await startOne({ script });
    await smtp(gateway)
      .say("MAIL FROM:<a@example.net>")
      .expect(/^451 4\.7\.1/)
      .say("MAIL FROM:<a@example.net>")
      .expect(/^451 4\.7\.1/);
  });

  test.each([
    ["a newer version", { version: 7 }],
    ["an old one", { version: 1 }],
    ["an action that was not offered", { actions: 0x200 }],
    ["macros without end", { macros: { mail: Array.from({ length: 1_000 }, () => "i") } }],
  ])("negotiation: %s", async (_, terms) => {
    const { gateway } = await startOne({ terms: () => terms });
    await smtp(gateway).say("MAIL FROM:<>").expect(/^451/);
  });
});

describe("onError", () => {
  const dying = (onError: unknown) => ({ script: { data: () => ["close"] as const }, given: { onError } });
  test("reject", async () => {
    const { gateway } = await startOne(dying("reject"));
    await deliver(gateway).expect(/^550 5\.7\.1 Service unavailable/);
  });
  test("reject at connect is a greeting", async () => {
    const { gateway } = await startOne({ script: { connect: () => ["close"] }, given: { onError: "reject" } });
    await smtp(gateway, { bare: true })
      .expect(/^554 5\.7\.1 Service unavailable/)
      .closed();
  });
  test("skip, with a header that says so; the others are asked all the same", async () => {
    const { gateway, milters } = await start([dying({ down: "skip" }), {}]);
    await deliver(gateway).expect(/^250/);
    const [delivery] = await gateway.delivered(1);
    expect(delivery?.content.toString()).toContain("\r\nX-Postern-Unscanned: milter m0 (down)\r\n");
    expect(milters[1]?.heard).toContain("endOfMessage");
  });
  test("quarantine", async () => {
    const { gateway } = await startOne(dying("quarantine"));
    await deliver(gateway).expect(/^250/);
    expect(gateway.quarantined.map(({ reason }) => reason)).toEqual(["milter m0 gave no verdict (down)"]);
  });
  test("by reason: what is not named is put off", async () => {
    const { gateway } = await startOne({
      script: { mail: () => [Buffer.from([0, 0, 0, 0])] },
      given: { onError: { down: "skip" } },
    });
    await smtp(gateway)
      .say("MAIL FROM:<a@example.net>")
      .expect(/^451 4\.7\.1/);
  });
  test("it must be said", async () => {
    const started = createTestGateway(config, { plugins: [[plugin, { milters: [{ address: "inet:127.0.0.1:1" }] }]] });
    await expect(started).rejects.toThrow(/onError/);
  });
});

test("nobody listens: put off, and after five failures not even tried until a second has passed", async () => {
  const gone = await startScriptedMilter();
  await gone[Symbol.asyncDispose]();
  const gateway = await createTestGateway(config, {
    plugins: [[plugin, { milters: [{ address: gone.address, name: "gone", onError: "defer" }] }]],
  });
  for (let count = 0; count < 7; count += 1)
    await smtp(gateway)
      .say("MAIL FROM:<>")
      .expect(/^451 4\.7\.1/)
      .hangUp();
  await gateway.close();
  expect(gateway.log.join("\n")).toContain("not asked after 5 failures in a row");
});

test("progress stretches the end of a message", async () => {
  await undisturbed(async () => {
    const { gateway, milter } = await startOne({
      script: { endOfMessage: () => [] },
      given: { contentTimeout: "150ms" },
    });
    const said = deliver(gateway).then((last) => last);
    await poll(() => milter.heard).toContain("endOfMessage");
    for (let count = 0; count < 5; count += 1) {
      await delay(60);
      milter.answer(replies.progress);
    }
    milter.answer(replies.continue);
    expect(await said).toMatch(/^250/);
  });
});

test.each<[what: string, response: Response]>([
  ["signs of life", replies.progress],
  ["bodies of nothing", { kind: "replaceBody", octets: Buffer.alloc(0) }],
])("%s without end are a failure long before the time is up", async (_, response) => {
  const flood = Buffer.concat(Array.from({ length: 10_001 }, () => encodeResponse(response)));
  const { gateway, milter } = await startOne({ script: { endOfMessage: () => [flood] } });
  await deliver(gateway).expect(/^451 4\.7\.1/);
  await poll(() => milter.open).toBe(0);
  expect(gateway.log.join("\n")).toContain("(invalid): it says without end that it is at work");
});

describe("a client that leaves", () => {
  const lines = ["EHLO x", "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.test>", "DATA", "half a message"];
  test.each(lines.map((_, count) => count + 1))("after %i commands", async (count) => {
    const { gateway, milter } = await startOne();
    let dialogue = smtp(gateway, { bare: true });
    for (const line of lines.slice(0, count))
      dialogue = line.startsWith("half") ? dialogue.raw(line) : dialogue.say(line);
    await dialogue.hangUp();
    await poll(() => milter.open).toBe(0);
    expect(milter.heard.slice(-2)).toEqual(count === 1 ? ["helo x", "quit"] : ["abort", "quit"]);
  });

  test.each(["mail", "recipient", "data", "body", "endOfMessage"] as const)(
    "while the milter thinks about %s",
    async (kind) => {
      const { gateway, milter } = await startOne({ script: { [kind]: () => [] } });
      const lines = ["MAIL FROM:<a@example.net>", "RCPT TO:<b@example.test>", "DATA"];
      const answered = { mail: 0, recipient: 1, data: 2, body: 3, endOfMessage: 3 }[kind];
      let dialogue = smtp(gateway);
      for (const line of lines.slice(0, answered)) dialogue = dialogue.say(line);
      await dialogue.raw(`${lines[answered] ?? `${mail}.`}\r\n`);
      await poll(() => milter.heard.some((each) => each.startsWith(kind))).toBe(true);
      await dialogue.hangUp();
      await poll(() => milter.open).toBe(0);
      expect(milter.heard.slice(-2)).toEqual(["abort", "quit"]);
      expect(gateway.deliveries).toEqual([]);
    },
  );
});

test("another scanner's refusal calls a milter off; the next message of the session waits for it and is told whole", async () => {
  const milter = await startScriptedMilter({
    script: { body: (_, count) => (count === 1 ? [replies.progress] : [replies.continue]) },
  });
  let count = 0;
  const refuser = definePlugin({
    name: "refuser",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      gateway.scanner({
        name: "refuser",
        description: "refuses the first message",
        onError: "defer",
        scan: async () => {
          count += 1;
          if (count > 1) return undefined;
          await poll(() => milter.heard.some((line) => line.startsWith("body"))).toBe(true);
          return reject("no");
        },
      });
    },
  });
  const milters = [{ address: milter.address, onError: "defer" }];
  const gateway = await createTestGateway(config, { plugins: [[plugin, { milters }], refuser] });
  const dialogue = deliver(gateway).expect(/^550 5\.7\.1 no/);
  await dialogue;
  milter.answer(replies.continue);
  await dialogue
    .say("MAIL FROM:<c@example.net>")
    .expect(/^250/)
    .say("RCPT TO:<b@example.test>")
    .data(mail)
    .expect(/^250/);
  expect(milter.heard.filter((line) => /^(?:mail|abort|endOfMessage)/.test(line))).toEqual([
    "mail <a@example.net>",
    "abort",
    "mail <c@example.net>",
    "endOfMessage",
  ]);
  await gateway.close();
  await milter[Symbol.asyncDispose]();
});

test("called off, a silent milter is waited for no longer than for a command", () =>
  undisturbed(async () => {
    const milter = await startScriptedMilter({ script: { endOfMessage: () => [] } });
    const refuser = definePlugin({
      name: "refuser",
      apiVersion: 1,
      options: z.strictObject({}),
      setup(gateway) {
        gateway.scanner({
          name: "refuser",
          description: "refuses",
          onError: "defer",
          scan: async () => {
            await poll(() => milter.heard).toContain("endOfMessage");
            return reject("no");
          },
        });
      },
    });
    const milters = [{ address: milter.address, onError: "defer", commandTimeout: "50ms", contentTimeout: "1h" }];
    const gateway = await createTestGateway(config, { plugins: [[plugin, { milters }], refuser] });
    await deliver(gateway)
      .expect(/^550 5\.7\.1 no/)
      .say("MAIL FROM:<c@example.net>")
      .expect(/^451 4\.7\.1/);
    await gateway.close();
    await milter[Symbol.asyncDispose]();
  }));

describe("connections kept for the next session", () => {
  test("one serves many sessions; none stays at the end", async () => {
    const { gateway, milter } = await startOne({ given: { reuse: true } });
    for (let count = 0; count < 5; count += 1) {
      await deliver(gateway).expect(/^250/).hangUp();
      await poll(() => milter.heard.filter((line) => line === "quitSession").length).toBe(count + 1);
    }
    expect(milter.connections).toBe(1);
    await gateway.close();
    await poll(() => milter.open).toBe(0);
  });

  test("one that was closed in the meantime is opened anew, and nobody notices", async () => {
    const { gateway, milter } = await startOne({
      given: { reuse: true },
      script: { connect: (_, count) => (count === 2 ? ["close"] : [replies.continue]) },
    });
    await deliver(gateway).expect(/^250/).hangUp();
    await poll(() => milter.heard.at(-1)).toBe("quitSession");
    await deliver(gateway).expect(/^250/).hangUp();
    expect(milter.connections).toBe(2);
    await gateway.close();
  });

  test("not with version 4, and not after a response that is owed", async () => {
    const old = await startOne({ given: { reuse: true }, terms: () => ({ version: 4, actions: 0 }) });
    await deliver(old.gateway).expect(/^250/).hangUp();
    await poll(() => old.milter.heard.at(-1)).toBe("quit");
  });
});

test("a header field that no packet holds: that message alone, whatever was declared, and the milter is not taken for dead", async () => {
  const { gateway, milter } = await startOne({ given: { onError: { tooLarge: "skip" } } });
  const large = `X-Large: ${"a ".repeat(35_000)}\r\n${mail}`;
  const dialogue = smtp(gateway);
  for (const content of [...Array<string>(6).fill(large), mail]) {
    const said = await dialogue
      .say("MAIL FROM:<a@example.net>")
      .expect(/^250/)
      .say("RCPT TO:<b@example.test>")
      .expect(/^250/)
      .data(content);
    expect(said).toMatch(/^250/);
  }
  await dialogue.hangUp();
  const deliveries = await gateway.delivered(7);
  const unscanned = deliveries.map(({ content }) => content.includes("X-Postern-Unscanned: milter m0 (tooLarge)"));
  expect(unscanned).toEqual([...Array<boolean>(6).fill(true), false]);
  expect([milter.connections, milter.heard.filter((kind) => kind.startsWith("endOfMessage")).length]).toEqual([1, 1]);
});

describe("who is asked for whom", () => {
  test("skip and clients", async () => {
    const { gateway, milters } = await start(
      [{ given: { skip: ["!192.0.2.1", "192.0.2.0/24"] } }, { given: { skip: ["192.0.2.1"] } }],
      {
        clients: { "192.0.2.9": "DISABLE", "192.0.2.8": "m1, m0", "192.0.2.7": "m7" },
      },
    );
    const asked = async (remoteAddress: string) => {
      for (const { heard } of milters) heard.length = 0;
      const said = await smtp(gateway, { remoteAddress, bare: true }).say("EHLO x").say("MAIL FROM:<>");
      return `${milters.map(({ heard }) => heard.length).join(" ")} ${said.slice(0, 3)}`;
    };
    expect(await asked("192.0.2.1")).toBe("3 0 250");
    expect(await asked("192.0.2.2")).toBe("0 3 250");
    expect(await asked("198.51.100.1")).toBe("3 3 250");
    expect(await asked("192.0.2.9")).toBe("0 0 250");
    expect(await asked("192.0.2.8")).toBe("3 3 250");
    expect(await asked("192.0.2.7")).toBe("0 0 451");
  });
});

test("200 sessions at once: each has its own conversation", async () => {
  const { gateway, milter } = await startOne({
    script: {
      recipient: (command) => [
        command.kind === "recipient" && /<[a-z]*[13579]@/.test(command.args[0] ?? "")
          ? replies.reject
          : replies.continue,
      ],
    },
  });
  const codesOf = await Promise.all(
    Array.from({ length: 200 }, async (_, count) => {
      const dialogue = smtp(gateway, { remoteAddress: `10.0.0.${count}` })
        .say("MAIL FROM:<a@example.net>")
        .say(`RCPT TO:<u${count}@example.test>`);
      const said = await dialogue;
      await dialogue.hangUp();
      return said.slice(0, 3);
    }),
  );
  expect(codesOf).toEqual(
    codesOf.map((_, count) =>
      /^u?[13579]$/.test(`u${count}`.slice(0, 2)) && count < 10 && count % 2 === 1 ? "550" : "250",
    ),
  );
  await poll(() => milter.open).toBe(0);
  expect(milter.connections).toBe(200);
});
