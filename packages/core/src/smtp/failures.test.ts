// A plugin, a scanner, the spool or the queue that fails: the client is told to try again, other sessions go on, nothing leaks.
import { once } from "node:events";
import { createFakeClock } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { PosternError } from "../errors.ts";
import { createHooks, type PluginHooks } from "../hooks/index.ts";
import { reply } from "../model/index.ts";
import { createNamelessFiles, createSpooler, type Spool, type Spooler } from "../message/index.ts";
import { Content } from "./content.ts";
import { createFront, sayWord, type FrontOptions } from "./front.fixture.ts";

const hookNames = [
  "connect",
  "helo",
  "unknown",
  "mail",
  "rcpt",
  "recipient",
  "data",
  "headers",
  "message",
  "modify",
] as const;
type HookName = (typeof hookNames)[number];

function tapWith(name: HookName, call: () => unknown): (hooks: PluginHooks) => void {
  return ({ smtp }: PluginHooks) => (smtp[name].tap as (call: () => unknown) => void)(call);
}

const script = ["EHLO client.test", "HELP", "MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>", "DATA", "x: y\r\n."];
/** The line of the script at which a hook is asked; the greeting is -1. */
const place: Readonly<Record<HookName, number>> = {
  connect: -1,
  helo: 0,
  unknown: 1,
  mail: 2,
  rcpt: 3,
  recipient: 3,
  data: 4,
  headers: 5,
  message: 5,
  modify: 5,
};

const failures: Readonly<Record<string, () => unknown>> = {
  throws: () => {
    throw new Error("secret: /etc/passwd");
  },
  "throws a string of a megabyte": () => {
    // oxlint-disable-next-line typescript/only-throw-error
    throw "x".repeat(1024 * 1024);
  },
  rejects: () => Promise.reject(new Error("SELECT secret")),
  "throws null": () => {
    // oxlint-disable-next-line typescript/only-throw-error
    throw null;
  },
  hangs: () => new Promise(() => {}),
  "answers null": () => null,
  "answers true": () => true,
  "answers a permit": () => ({ kind: "permit" }),
  "answers with a reply that is none": () => ({ kind: "reject", reply: { code: "x", text: {} } }),
  "answers a reject that says 250": () => ({ kind: "reject", reply: { code: 250, text: "Ok" } }),
  "answers with a getter that throws": () => ({
    get kind(): string {
      throw new Error("secret");
    },
  }),
  "answers with a then that throws": () => ({
    // oxlint-disable-next-line unicorn/no-thenable
    get then(): unknown {
      throw new Error("secret");
    },
  }),
};

describe.each(hookNames)("hook %s", (name) => {
  test.each(Object.entries(failures))("%s", async (_, call) => {
    const clock = createFakeClock();
    const front = await createFront({ clock, taps: tapWith(name, call) });
    const talk = front.connect();
    const waiting = setInterval(() => void clock.run(10_000), 1);
    const answers = [await talk.reply()];
    const at = place[name] + 1;
    for (const line of script.slice(0, at)) answers.push(await talk.say(line));
    clearInterval(waiting);
    expect(answers[at]).toBe("451 4.3.0 Temporary failure, try again later");
    expect(talk.transcript).not.toMatch(/secret|SELECT|x{100}/);
    expect(front.queue).toEqual([]);
    expect(front.failures.map(({ owner, point }) => `${owner.name} ${point}`)).toContain(`probe smtp.${name}`);
    // The session goes on where it may.
    if (at > 0) expect(await talk.say("RSET")).toBe("250 2.0.0 Ok");
    talk.stream.destroy();
    await front.idle();
  });

  test("answers with a megabyte of text", async () => {
    const call = (): unknown => ({
      kind: "reject",
      reply: { code: 550, enhanced: "5.7.1", text: "x\r\n".repeat(300_000) },
    });
    const front = await createFront({ taps: tapWith(name, call) });
    const talk = front.connect();
    const answers = [await talk.reply()];
    for (const line of script) answers.push(await talk.say(line));
    // Edits are no refusal: there it is nonsense.
    expect(answers[place[name] + 1]).toMatch(name === "modify" ? /^451 / : /^550 5\.7\.1 [x ]{390,400}$/);
  });

  test("skip lets the message pass", async () => {
    const call = (): unknown => {
      throw new Error("secret");
    };
    const front = await createFront({ taps: tapWith(name, call), owner: { onError: "skip" } });
    const talk = front.connect();
    await talk.reply();
    for (const line of script) await talk.say(line);
    expect(front.queue).toHaveLength(1);
  });

  test("an answer after the session has ended touches nothing", async () => {
    let answer: (value: undefined) => void = () => {};
    let asked = false;
    const call = (): Promise<undefined> => {
      asked = true;
      return new Promise((resolve) => (answer = resolve));
    };
    const front = await createFront({ taps: tapWith(name, call) });
    const talk = front.connect();
    if (name !== "connect") await talk.reply();
    for (const line of name === "connect" ? [] : script) {
      if (asked) break;
      talk.send(`${line}\r\n`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    while (!asked) await new Promise((resolve) => setImmediate(resolve));
    talk.stream.destroy();
    await new Promise((resolve) => setTimeout(resolve, 1));
    // What is being asked still needs its generation.
    expect(front.held).toBe(1);
    answer(undefined);
    await front.idle();
    expect(front.queue).toEqual([]);
    expect(front.events.filter(({ kind }) => kind === "failed")).toEqual([]);
  });
});

describe("hook recipientRefused, which nothing answers", () => {
  const words = [sayWord("no", () => ({ kind: "reject", reply: reply(550, "5.1.1", "no such user") }))];
  test.each(Object.entries(failures))("%s", async (_, call) => {
    const clock = createFakeClock();
    const taps = ({ smtp }: PluginHooks): void => smtp.recipientRefused.tap(call as () => undefined);
    const front = await createFront({ clock, taps, words, lists: { rcpt: ["no"] } });
    const talk = await front.greeted();
    const waiting = setInterval(() => void clock.run(10_000), 1);
    for (const line of script.slice(1, 3)) await talk.say(line);
    expect(await talk.say("RCPT TO:<b@ours.test>")).toBe("550 5.1.1 no such user");
    clearInterval(waiting);
    expect(talk.transcript).not.toMatch(/secret|SELECT|x{100}/);
    expect(await talk.say("RSET")).toBe("250 2.0.0 Ok");
    talk.stream.destroy();
    await front.idle();
  });

  test("a client that goes while it is waited for is refused in the log, too", async () => {
    const reported: string[] = [];
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    const front = await createFront({
      words,
      lists: { rcpt: ["no"] },
      taps: ({ smtp }) => {
        smtp.recipientRefused.tap(() => (ask(), answered));
        smtp.rejected.tap(({ reply: said }) => void reported.push(said.text));
      },
    });
    const talk = await front.greeted();
    await talk.say("MAIL FROM:<a@there.test>");
    talk.stream.write("RCPT TO:<b@ours.test>\r\n");
    await asked;
    const gone = once(talk.stream, "close");
    talk.stream.destroy();
    await gone;
    await new Promise((resolve) => setImmediate(resolve));
    answer();
    await front.idle();
    expect(front.lines().filter((line) => line.includes("reject: RCPT"))).toEqual([
      expect.stringMatching(/550 5\.1\.1 no such user; from=<a@there\.test> to=<b@ours\.test>/),
    ]);
    expect(reported).toEqual(["no such user"]);
  });

  test("it is told of those that are refused, and of no others, before the client hears of it", async () => {
    const told: string[] = [];
    let refuse = false;
    const front = await createFront({
      lists: { rcpt: ["once"] },
      words: [sayWord("once", () => (refuse ? { kind: "defer", reply: reply(450, "4.2.1", "later") } : undefined))],
      taps: ({ smtp }) => {
        smtp.recipientRefused.tap(async ({ address }, { reply: said }, { sender }, { helo }) => {
          await new Promise((resolve) => setImmediate(resolve));
          told.push(`${sender} ${address} ${said.code} ${helo?.name}`);
        });
      },
    });
    const talk = await front.greeted();
    await talk.say("MAIL FROM:<a@there.test>");
    await talk.say("RCPT TO:<b@ours.test>");
    refuse = true;
    expect(await talk.say("RCPT TO:<c@ours.test>")).toBe("450 4.2.1 later");
    expect(await talk.say("RCPT TO:<d@there.test>")).toMatch(/^(?:554|450)/);
    expect(told.map((line) => line.split(" ").slice(0, 3))).toEqual([
      ["a@there.test", "c@ours.test", "450"],
      ["a@there.test", "d@there.test", expect.stringMatching(/^(?:554|450)$/)],
    ]);
    expect(await talk.say("RCPT TO:<syntax")).toMatch(/^501/);
    expect(told).toHaveLength(2);
  });
});

/** Those of TLS, of a login and of a delay have sessions of their own in other files; one is above. */
const elsewhere = ["tls", "auth", "tarpit", "recipientRefused"];

test("every decision hook of a session is in this test", () => {
  const guard = { run: () => undefined, settle: () => undefined, fail: () => undefined } as never;
  const { smtp } = createHooks(guard);
  const decisions = Object.entries(smtp).flatMap(([name, hook]) => (hook.kind === "report" ? [] : [name]));
  expect(decisions.filter((name) => !elsewhere.includes(name)).toSorted()).toEqual([...hookNames].toSorted());
});

describe("the rest of the house", () => {
  const cases: [string, FrontOptions, RegExp][] = [
    [
      "a queue that is full",
      { enqueue: () => Promise.reject(new PosternError("STORE_FULL", "/var/queue")) },
      /^452 4\.3\.1 /,
    ],
    [
      "a queue that fails",
      { enqueue: () => Promise.reject(new PosternError("STORE_UNAVAILABLE", "EIO /var")) },
      /^451 4\.3\.0 /,
    ],
    [
      "a queue that throws at once",
      {
        enqueue: () => {
          throw new TypeError("undefined is not a function");
        },
      },
      /^451 4\.3\.0 /,
    ],
    ["scanners that reject", { scan: () => Promise.reject(new Error("clamd")) }, /^451 4\.3\.0 /],
    [
      "scanners that throw",
      {
        scan: () => {
          throw new Error("clamd");
        },
      },
      /^451 4\.3\.0 /,
    ],
    ["scanners that answer nonsense", { scan: () => 7 as never }, /^451 4\.3\.0 /],
    [
      "a rewriter that fails",
      { rewriter: { rewriteHeader: undefined, rewrite: () => Promise.reject(new Error("table")) } },
      /^451 4\.3\.0 /,
    ],
    [
      "a spool without a folder",
      { spooler: createSpooler({ files: createNamelessFiles("/nowhere"), thresholdBytes: 1, maxSizeBytes: 1e6 }) },
      /^451 4\.3\.0 /,
    ],
    [
      "a word that throws",
      { lists: { message: ["bad"] }, words: [sayWord("bad", () => Promise.reject(new Error("x")))] },
      /^451 4\.3\.0 /,
    ],
  ];
  test.each(cases)("%s", async (_, options, expected) => {
    const front = await createFront(options);
    const talk = await front.greeted();
    for (const line of script.slice(1, -1)) await talk.say(line);
    const answer = await talk.say(script.at(-1) ?? "");
    expect(answer).toMatch(expected);
    expect(answer).not.toMatch(/var|EIO|undefined|clamd|table|nowhere/);
    expect(front.queue).toEqual([]);
    // The transaction is over and the next may come.
    expect(await talk.say("MAIL FROM:<a@there.test>")).toMatch(/^250 /);
  });

  test("every spool is let go, whatever became of its message", async () => {
    const open = new Set<number>();
    let count = 0;
    const real = createSpooler({ files: createNamelessFiles("/tmp"), maxSizeBytes: 1e6 });
    const spooler: Spooler = {
      open() {
        const id = (count += 1);
        const spool = real.open();
        open.add(id);
        const dispose = spool.dispose.bind(spool);
        spool.dispose = () => {
          open.delete(id);
          return dispose();
        };
        return spool;
      },
    };
    const front = await createFront({ spooler });
    const talk = await front.greeted();
    for (const end of ["x: y\r\n.", "a\nb\r\n."])
      for (const line of [...script.slice(1, -1), end]) await talk.say(line);
    for (const line of script.slice(1, -2)) await talk.say(line);
    talk.send("BDAT 2\r\nxx");
    await talk.reply();
    await talk.say("RSET");
    for (const line of script.slice(1, -1)) await talk.say(line);
    talk.send("half a messa");
    talk.stream.destroy();
    await front.idle();
    expect(count).toBe(4);
    expect([...open]).toEqual([]);
  });
});

test.each([
  ["at the limit", "reject", [Buffer.alloc(11, "x")]],
  ["after a fault", "reject", [Buffer.from("a\nb")]],
  ["after NUL", "normalize", [Buffer.from("a\0b")]],
] as const)("what will be refused is no longer kept: %s", (_, lineEndings, parts) => {
  let written = 0;
  const real = createSpooler({ files: createNamelessFiles("/tmp"), maxSizeBytes: 1e6 });
  const open = (): Spool => {
    const spool = real.open();
    const write = spool.write.bind(spool);
    spool.write = (chunk) => {
      written += chunk.length;
      return write(chunk);
    };
    return spool;
  };
  const content = new Content({ open }, 10, lineEndings);
  for (const part of parts) content.check?.check(part);
  content.add(parts);
  content.add([Buffer.from("more")]);
  expect(written).toBe(0);
  expect(content.fault !== undefined || content.tooLarge).toBe(true);
});

test("MAIL with a size for which there is no room is refused before the content is sent", async () => {
  const front = await createFront({ hasRoom: (bytes) => bytes < 1000 });
  const talk = await front.greeted();
  expect(await talk.say("MAIL FROM:<a@there.test> SIZE=1000")).toMatch(/^452 4\.3\.1 /);
  expect(await talk.say("MAIL FROM:<a@there.test> SIZE=999")).toMatch(/^250 /);
});

describe("the client goes while its message is being queued", () => {
  test("the message stays, and its content is there until the queue has it", async () => {
    const queueing = Promise.withResolvers<void>();
    const mayFinish = Promise.withResolvers<void>();
    let committed = "";
    const front = await createFront({
      spooler: createSpooler({ files: createNamelessFiles("/tmp"), thresholdBytes: 10, maxSizeBytes: 1e6 }),
      enqueue: async (_, content) => {
        queueing.resolve();
        await mayFinish.promise;
        for await (const chunk of content.read()) committed += chunk.toString("latin1");
      },
    });
    const talk = await front.greeted();
    for (const line of script.slice(1, -1)) await talk.say(line);
    // The header section stays in memory; what comes after it is in the file.
    talk.send("x: y\r\n\r\nbody\r\n");
    await new Promise((resolve) => setTimeout(resolve, 5));
    talk.send(`${"body\r\n".repeat(99)}.\r\n`);
    await queueing.promise;
    talk.stream.destroy();
    await expect.poll(() => front.events.at(-1)?.kind).toBe("disconnected");
    expect(front.held).toBe(1);
    mayFinish.resolve();
    await front.idle();
    expect(committed.endsWith("body\r\n".repeat(100))).toBe(true);
    expect(front.events.map(({ kind }) => kind)).toEqual(["connected", "disconnected", "received"]);
  });
});

test("a client that is cut off at any octet never leaves half a message, and everything is let go", async () => {
  const front = await createFront();
  const dialogue = [
    "EHLO client.test\r\nMAIL FROM:<a@there.test>\r\nRCPT TO:<b@ours.test>\r\nDATA\r\n",
    "Subject: x\r\n\r\nbody\r\n.\r\n",
    "MAIL FROM:<c@there.test>\r\nRCPT TO:<b@ours.test>\r\nBDAT 5\r\nx: y\nBDAT 6 LAST\r\nx: y\r\nQUIT\r\n",
  ]
    .join("")
    .replace("BDAT 5\r\nx: y\n", "BDAT 6\r\nx: y\r\n");
  const firstEnd = dialogue.indexOf("\r\n.\r\n") + 5;
  const secondEnd = dialogue.indexOf("QUIT");
  for (let cut = 0; cut <= dialogue.length; cut += 1) {
    front.queue.length = 0;
    const talk = front.connect();
    await talk.reply();
    talk.send(dialogue.slice(0, cut));
    // Half of them say good-bye with FIN, half vanish.
    if (cut % 2 === 0) talk.stream.end();
    else {
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      talk.stream.destroy();
    }
    await front.idle();
    const most = cut >= secondEnd ? 2 : cut >= firstEnd ? 1 : 0;
    expect([cut, front.queue.length]).toEqual([cut, cut % 2 === 0 ? most : Math.min(front.queue.length, most)]);
    for (const { text } of front.queue) expect(text).toMatch(/(?:body|x: y)\r\n$/);
  }
  expect(front.events.filter(({ kind }) => kind === "failed")).toEqual([]);
  expect(front.events.filter(({ kind }) => kind === "connected")).toHaveLength(dialogue.length + 1);
  expect(front.events.filter(({ kind }) => kind === "disconnected")).toHaveLength(dialogue.length + 1);
});
