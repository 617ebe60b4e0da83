// What a session hears: lists in order, delayed refusals, remembered deferrals, words that fail, effects.
import { describe, expect, test } from "vitest";
import { createMemoryBlob, createMessage } from "../message/index.ts";
import {
  isPromise,
  systemClock,
  type Answer,
  type Clock,
  type MaybePromise,
  type RecipientAnswer,
  type Transaction,
} from "../model/index.ts";
import { defer, permit, reject } from "../model/verdict.ts";
import type { MixedPolicy, Scanned } from "./at-message.ts";
import { askRecipient, question, setUp, type Words } from "./policy.fixture.ts";
import type { Stage } from "./restriction.ts";

const words: Words = {
  ok: () => permit,
  dunno: () => undefined,
  no: () => reject("no", "5.7.1", 550),
  later: () => defer("later", "4.7.1", 450),
  no_late: async () => reject("no", "5.7.1", 550),
  dunno_late: async () => undefined,
  throws: () => {
    throw new Error("/etc/secret: SELECT *");
  },
  rejects: () => Promise.reject(new Error("/etc/secret")),
  wrong: () => "REJECT" as never,
  wrong_late: async () => 42 as never,
  two_hundred: () => ({ kind: "reject", reply: { code: 250, enhanced: "2.0.0", text: "fine" } }),
  redirects_nowhere: () => ({ kind: "redirect", address: "nobody" }),
  filters_nowhere: () => ({ kind: "filter", destination: "nowhere" }),
  tags: () => ({ kind: "tag", text: "spam" }) as never,
  breaks_lines: () => reject("a\r\n250 forged", "9.9.9"),
  many: () => Array.from({ length: 51 }, () => ({ kind: "log" as const, text: "x" })),
  strange_header: () => ({ kind: "prepend", name: "X:\r\nBcc", value: "y" }),
};

describe("one RCPT", () => {
  type Case = [lists: Partial<Record<Stage, string>>, reply: string];
  const no = "550 5.7.1 no";
  const later = "450 4.7.1 later";
  const ifPermit = "450 4.7.0 <user@ours.example>: Recipient address rejected: defer_if_permit requested";
  const fromSender = "450 4.7.0 <sender@client.example>: Sender address rejected: defer_if_permit requested";
  const fromClient = "450 4.7.0 <client.example[192.0.2.1]>: Client host rejected: defer_if_permit requested";
  const ifReject = "450 4.7.0 <user@ours.example>: Recipient address rejected: defer_if_reject requested";
  test.for<Case>([
    [{}, "ok"],
    [{ rcpt: "dunno, dunno_late" }, "ok"],
    [{ rcpt: "no" }, no],
    [{ rcpt: "later, no" }, later],
    [{ rcpt: "ok, no" }, "ok"],
    [{ rcpt: "dunno, no_late, ok" }, no],
    // Permit ends its own list only.
    [{ relay: "ok", rcpt: "no" }, no],
    [{ connect: "ok", helo: "no" }, no],
    [{ connect: "ok, no", rcpt: "dunno" }, "ok"],
    // Delayed refusals, the earliest first.
    [{ connect: "no", rcpt: "ok" }, no],
    [{ helo: "no_late", mail: "later" }, no],
    [{ mail: "later", relay: "no" }, later],
    // defer_if_permit: a later permit, written or by the end of the lists.
    [{ rcpt: "defer_if_permit" }, ifPermit],
    [{ rcpt: "defer_if_permit, ok" }, ifPermit],
    [{ rcpt: "defer_if_permit, no" }, no],
    [{ relay: "defer_if_permit", rcpt: "ok" }, ifPermit],
    [{ mail: "defer_if_permit", rcpt: "ok" }, fromSender],
    [{ connect: "defer_if_permit", mail: "defer_if_permit" }, fromClient],
    [{ connect: "defer_if_permit", rcpt: "no" }, no],
    // defer_if_reject: a later refusal for good, of the same list, or of rcpt after relay.
    [{ rcpt: "defer_if_reject" }, "ok"],
    [{ rcpt: "defer_if_reject, no" }, ifReject],
    [{ rcpt: "defer_if_reject, no_late" }, ifReject],
    [{ rcpt: "defer_if_reject, later" }, later],
    [{ relay: "defer_if_reject", rcpt: "no" }, ifReject],
    [{ mail: "defer_if_reject", relay: "no" }, no],
    [{ relay: "defer_if_reject, no_late" }, ifReject],
    [{ rcpt: "no, defer_if_reject" }, no],
    // Both: nothing that comes can change it.
    [{ rcpt: "defer_if_permit, defer_if_reject, throws" }, ifPermit],
    [{ rcpt: "defer_if_reject, dunno_late, defer_if_permit, throws" }, ifPermit],
    [{ mail: "defer_if_permit", rcpt: "defer_if_reject, no" }, fromSender],
    // … but rcpt is begun after relay, and its first word is still heard.
    [{ relay: "defer_if_permit, defer_if_reject", rcpt: "dunno, no" }, ifPermit],
    [{ relay: "defer_if_permit, defer_if_reject", rcpt: "no" }, ifReject],
    [{ relay: "defer_if_permit, defer_if_reject", rcpt: "later" }, later],
    // warn_if_reject.
    [{ rcpt: "warn_if_reject no" }, "ok"],
    [{ rcpt: "warn_if_reject no, later" }, later],
    [{ rcpt: "warn_if_reject no_late, ok" }, "ok"],
    [{ rcpt: "warn_if_reject defer_if_permit" }, "ok"],
    [{ rcpt: "warn_if_reject strict, later" }, later],
    [{ rcpt: "strict" }, no],
    // Failures are the plugin's onError, which here is defer, and warn_if_reject does not soften them.
    [{ rcpt: "throws" }, "451 4.3.0 Temporary failure, try again later"],
    [{ rcpt: "warn_if_reject rejects" }, "451 4.3.0 Temporary failure, try again later"],
    ...[
      "wrong",
      "wrong_late",
      "two_hundred",
      "redirects_nowhere",
      "filters_nowhere",
      "tags",
      "many",
      "strange_header",
    ].map((word): Case => [{ rcpt: word }, "451 4.3.0 Temporary failure, try again later"]),
    [{ rcpt: "breaks_lines" }, "550 5.0.0 a 250 forged"],
  ])("%j: %s", async ([lists, reply]) => {
    const config = {
      lists: Object.fromEntries(Object.entries(lists).map(([stage, list]) => [stage, [list]])),
      classes: { strict: ["dunno", "no"] },
    };
    expect(await askRecipient(config, { words })).toBe(reply);
  });

  test.for([
    ["skip", "550 5.7.1 no"],
    ["reject", "554 5.3.0 Message refused"],
    ["defer", "451 4.3.0 Temporary failure, try again later"],
    ["quarantine", "550 5.7.1 no"],
  ] as const)("onError %s", async ([onError, reply]) => {
    for (const word of ["throws", "rejects", "wrong", "wrong_late"]) {
      expect(await askRecipient({ lists: { rcpt: [word, "no"] } }, { words, onError })).toBe(reply);
    }
  });

  test("with quarantine the list goes on, and the message is put aside", async () => {
    const { policy } = await setUp({ lists: { rcpt: ["throws", "rejects"] } }, { words, onError: "quarantine" });
    const judge = policy.start();
    expect(await judge.rule("rcpt", question())).toMatchObject({
      objection: undefined,
      effects: [
        { kind: "quarantine", text: "throws gave no answer (error)" },
        { kind: "quarantine", text: "rejects gave no answer (error)" },
      ],
    });
  });

  test("onError by reason", async () => {
    const onError = { invalid: "skip", error: "reject" } as const;
    const lists = (word: string) => ({ lists: { rcpt: [word] } });
    expect(await askRecipient(lists("wrong"), { words, onError })).toBe("ok");
    expect(await askRecipient(lists("throws"), { words, onError })).toMatch(/^554 /);
  });

  test("a word that hangs meets its deadline, and its late answer changes nothing", async () => {
    const timers = new Set<() => void>();
    const setTimer: Clock["setTimer"] = (call) => {
      timers.add(call);
      return { cancel: () => void timers.delete(call) };
    };
    const clock: Clock = { ...systemClock, setTimer };
    let answer: (late: Answer) => void = () => {};
    const hangs: Words = { hangs: () => new Promise((resolve) => (answer = resolve)) };
    const { policy, failures } = await setUp({ lists: { rcpt: ["hangs"] } }, { words: hangs, clock });
    const objection = policy.start().ask("rcpt", question());
    timers.forEach((expire) => expire());
    expect(await objection).toMatchObject({ kind: "defer", reply: { code: 451 } });
    answer(permit);
    expect(failures.map(({ owner, point, reason }) => `${owner.name} ${point} ${reason}`)).toEqual([
      "test hangs timeout",
    ]);
  });

  test("an unlisted recipient is refused at the end, even one of a friend", async () => {
    const unlisted = question("nobody@ours.example");
    const reply = "550 5.1.1 <nobody@ours.example>: Recipient address rejected: User unknown in relay recipient table";
    expect(await askRecipient({ lists: {} }, { words }, unlisted)).toBe(reply);
    expect(await askRecipient({ lists: { rcpt: ["ok"] } }, { words }, unlisted)).toBe(reply);
    expect(await askRecipient({ lists: { rcpt: ["later"] } }, { words }, unlisted)).toMatch(/^450 /);
    expect(await askRecipient({ lists: { rcpt: ["defer_if_reject"] } }, { words }, unlisted)).toMatch(
      /^450 .*defer_if_reject requested$/,
    );
  });

  test("who said no HELO is not asked about it", async () => {
    const { session } = question();
    const silent = question("user@ours.example", { session: { ...session, helo: undefined } });
    expect(await askRecipient({ lists: { helo: ["no"] } }, { words }, silent)).toBe("ok");
  });
});

describe("a session", () => {
  const counting = () => {
    const asked: string[] = [];
    const count = (answer: Answer) => (ask: { stage: Stage }) => {
      asked.push(ask.stage);
      return answer;
    };
    return { asked, words: { ...words, counts: count(undefined), refuses: count(reject("no")) } };
  };
  const everywhere = {
    connect: ["counts"],
    helo: ["counts"],
    mail: ["counts"],
    relay: ["counts"],
    rcpt: ["counts"],
    data: ["counts"],
  };

  test("delayed lists are asked at every RCPT", async () => {
    const { asked, words: counted } = counting();
    const { policy } = await setUp({ lists: everywhere }, { words: counted });
    const judge = policy.start();
    for (const stage of ["connect", "helo", "mail"] as const) expect(judge.ask(stage, question())).toBeUndefined();
    expect(asked).toEqual([]);
    await judge.ask("rcpt", question());
    await judge.ask("rcpt", question());
    await judge.ask("data", question());
    expect(asked.join(" ")).toBe("connect helo mail relay rcpt connect helo mail relay rcpt data");
    judge.resetTransaction();
    asked.length = 0;
    await judge.ask("rcpt", question());
    expect(asked.join(" ")).toBe("connect helo mail relay rcpt");
  });

  test("without delay each list answers its own command", async () => {
    const { asked, words: counted } = counting();
    const lists = { ...everywhere, mail: ["refuses"] };
    const { policy } = await setUp({ lists, delayReject: false }, { words: counted });
    const judge = policy.start();
    expect(judge.ask("connect", question())).toBeUndefined();
    expect(judge.ask("helo", question())).toBeUndefined();
    expect(judge.ask("mail", question())).toMatchObject({ kind: "reject" });
    expect(judge.ask("rcpt", question())).toBeUndefined();
    expect(asked.join(" ")).toBe("connect helo mail relay rcpt");
  });

  test("without delay a remembered deferral still waits for RCPT", async () => {
    const { policy } = await setUp({ lists: { connect: ["defer_if_permit"] }, delayReject: false }, { words });
    const judge = policy.start();
    expect(judge.ask("connect", question())).toBeUndefined();
    expect(judge.ask("rcpt", question())).toMatchObject({ kind: "defer" });
    expect(judge.decision).toMatchObject({ list: "connect", path: "policy.connect[0]", plugin: "core" });
  });

  test("without delay a deferral goes on to the next early list, and a new HELO takes its own back", async () => {
    const fickle: Words = {
      if_first: ({ session }) =>
        session.helo?.name === "first.example" ? { kind: "deferIfPermit", reply: defer("later").reply } : undefined,
    };
    const lists = { helo: ["if_first"], mail: ["defer_if_reject, no"] };
    const { policy } = await setUp({ lists, delayReject: false }, { words: { ...words, ...fickle } });
    const judge = policy.start();
    const { session } = question();
    const from = (name: string) =>
      question("user@ours.example", { session: { ...session, helo: { verb: "HELO", name } } });
    expect(judge.ask("helo", from("first.example"))).toBeUndefined();
    // Whatever comes now, the answer is a deferral: nothing more is asked.
    expect(judge.ask("mail", from("first.example"))).toBeUndefined();
    expect(judge.ask("rcpt", from("first.example"))).toMatchObject({ kind: "defer" });
    expect(judge.ask("helo", from("second.example"))).toBeUndefined();
    expect(judge.ask("mail", from("second.example"))).toMatchObject({ kind: "defer" });
    judge.resetTransaction();
    expect(judge.ask("rcpt", from("second.example"))).toBeUndefined();
  });

  test("a delayed refusal stands for every recipient", async () => {
    const { asked, words: counted } = counting();
    const { policy } = await setUp({ lists: { connect: ["refuses"], rcpt: ["counts"] } }, { words: counted });
    const judge = policy.start();
    for (let times = 0; times < 3; times++) expect(judge.ask("rcpt", question())).toMatchObject({ kind: "reject" });
    expect(asked).toEqual(["connect", "connect", "connect"]);
    expect(judge.decision).toEqual({ list: "connect", path: "policy.connect[0]", word: "refuses", plugin: "test" });
  });

  test("a delayed list knows its recipient, and may let one pass and refuse the other", async () => {
    const judged: Words = {
      picky: ({ recipient }) => (recipient?.address.startsWith("b@") === true ? reject("not b") : undefined),
    };
    const { policy } = await setUp({ lists: { connect: ["picky"] } }, { words: judged });
    const judge = policy.start();
    expect(judge.ask("rcpt", question("b@ours.example"))).toMatchObject({ kind: "reject" });
    expect(judge.ask("rcpt", question("a@ours.example"))).toBeUndefined();
    expect(judge.ask("rcpt", question("b@ours.example"))).toMatchObject({ kind: "reject" });
  });

  test.for([
    [1, "a@ours.example"],
    [2, undefined],
  ] as const)("after DATA a word knows the recipient when there is %s", async ([count, known]) => {
    const seen: (string | undefined)[] = [];
    const looks: Words = { looks: ({ recipient }) => void seen.push(recipient?.address) };
    const { policy } = await setUp({ lists: { data: ["looks"], message: ["looks"] } }, { words: looks });
    const recipients = ["a@ours.example", "b@ours.example"]
      .slice(0, count)
      .map((address) => ({ address, original: address }));
    const { session, transaction } = question();
    const asked = { session, transaction: { ...(transaction as NonNullable<typeof transaction>), recipients } };
    await policy.start().ask("data", asked);
    await policy.start().judge({ ...asked, message: createMessage(createMemoryBlob([])) }, undefined);
    expect(seen).toEqual([known, known]);
  });

  test("the postmaster without a domain hears of no list", async () => {
    const lists = { connect: ["no"], rcpt: ["no"] };
    expect(await askRecipient({ lists }, { words }, question("Postmaster"))).toBe("ok");
    expect(await askRecipient({ lists }, { words }, question("postmaster@ours.example"))).toBe("550 5.7.1 no");
  });

  describe("a message that goes nowhere", () => {
    const discarding: Words = {
      ...words,
      drops_a: ({ recipient }) =>
        recipient?.address.startsWith("a@") === true ? [{ kind: "discard" as const }, permit] : undefined,
    };
    /** With these as recipients already. */
    const taken = (addresses: readonly string[], recipient?: string) => {
      const asked = question(recipient);
      const recipients = addresses.map((address) => ({ address, original: address }));
      return { ...asked, transaction: { ...(asked.transaction as Transaction), recipients } };
    };
    const friend = { name: "friend", authorizes: true, compile: () => () => permit } as const;

    test.for(["connect", "mail", "relay", "rcpt"] as const)("by %s: no list is asked any more", async (stage) => {
      const lists = { rcpt: ["no"], data: ["no"], message: ["no"], [stage]: ["drops_a", "no"] };
      const { policy } = await setUp({ lists }, { words: discarding });
      const judge = policy.start();
      expect(await judge.ask("rcpt", question("c@ours.example"))).toMatchObject({ kind: "reject" });
      expect(await judge.ask("rcpt", question("a@ours.example"))).toBeUndefined();
      for (const name of ["b", "nobody"]) {
        expect(await judge.ask("rcpt", taken(["a@ours.example"], `${name}@ours.example`))).toBeUndefined();
      }
      expect(await judge.ask("data", taken(["a@ours.example", "b@ours.example"]))).toBeUndefined();
      judge.resetTransaction();
      expect(await judge.ask("rcpt", question("b@ours.example"))).toMatchObject({ kind: "reject" });
    });

    test("lists are asked again when its recipient was refused after all", async () => {
      const lists = { rcpt: ["drops_a", "no"], data: ["no"], message: ["no"] };
      const { policy } = await setUp({ lists }, { words: discarding });
      const judge = policy.start();
      expect(await judge.ask("rcpt", question("a@ours.example"))).toBeUndefined();
      expect(await judge.ask("rcpt", question("b@ours.example"))).toMatchObject({ kind: "reject" });
      const others = taken(["b@ours.example"]);
      expect(await judge.ask("data", others)).toMatchObject({ kind: "reject" });
      const { transaction } = others;
      const message = createMessage(createMemoryBlob([Buffer.from("\r\n")]));
      expect(await judge.judge({ ...others, transaction, message }, undefined)).toMatchObject({
        objection: { kind: "reject" },
      });
    });

    test("the relay guard is asked for every recipient all the same", async () => {
      const lists = { mail: ["drops_a"], relay: [] as string[] };
      const { policy } = await setUp({ lists }, { words: discarding });
      const judge = policy.start();
      expect(await judge.ask("rcpt", question("a@other.example"))).toMatchObject({ kind: "reject" });
      expect(await judge.ask("rcpt", question("a@ours.example"))).toBeUndefined();
      expect(await judge.ask("rcpt", taken(["a@ours.example"], "b@other.example"))).toMatchObject({ kind: "reject" });
    });

    test("and who may relay still may", async () => {
      const lists = { mail: ["drops_a"], relay: ["friend"] };
      const { policy } = await setUp({ lists }, { words: discarding, restrictions: [friend] });
      const judge = policy.start();
      expect(await judge.ask("rcpt", question("a@other.example"))).toBeUndefined();
      expect(await judge.ask("rcpt", taken(["a@other.example"], "b@other.example"))).toBeUndefined();
    });
  });

  test("words in memory answer without a promise", async () => {
    const twelve = Array.from({ length: 12 }, () => "dunno");
    const { policy } = await setUp({ lists: { rcpt: twelve } }, { words });
    expect(isPromise(policy.start().ask("rcpt", question()))).toBe(false);
  });

  test("notes name their word; explaining leaves none", async () => {
    const logs: Words = { ...words, logs: () => ({ kind: "log", text: "seen" }) };
    const { policy, notes } = await setUp({ lists: { rcpt: ["logs", "warn_if_reject no"] } }, { words: logs });
    await policy.start().ask("rcpt", question());
    expect(notes).toEqual(["policy.rcpt[0]: seen", "policy.rcpt[1]: reject_warning: 550 5.7.1 no"]);
    await policy.start().ask("rcpt", { ...question(), dry: true });
    expect(notes).toHaveLength(2);
  });
});

describe("the message", () => {
  const message = createMessage(createMemoryBlob([Buffer.from("Subject: x\r\n\r\nbody\r\n")]));
  const header = (name: string) => ({ kind: "prepend" as const, name, value: "1" });
  const adding: Words = {
    ...words,
    adds: ({ stage, recipient }) => [
      header(`X-${stage}`),
      ...(recipient?.address.startsWith("b@") ? [header("X-B")] : []),
    ],
  };
  const recipients = ["a@ours.example", "c@ours.example"].map((address) => ({ address, original: address }));
  const { session, transaction } = question();
  const asked = { session, transaction: { ...(transaction as NonNullable<typeof transaction>), recipients }, message };

  test("effects of all stages, each once, and of accepted recipients only", async () => {
    const lists = Object.fromEntries(
      ["connect", "helo", "mail", "relay", "rcpt", "data", "message"].map((stage) => [stage, ["adds"]]),
    );
    const { policy } = await setUp({ lists }, { words: adding });
    const judge = policy.start();
    for (const name of ["a", "b", "c"]) await judge.ask("rcpt", question(`${name}@ours.example`));
    await judge.ask("data", question());
    const { effects, recipients: taken } = await judge.judge(asked, { answer: header("X-Scan") });
    expect(taken).toEqual(recipients);
    expect(effects.map((effect) => (effect.kind === "prepend" ? effect.name : ""))).toEqual([
      "X-connect",
      "X-helo",
      "X-mail",
      "X-relay",
      "X-rcpt",
      "X-data",
      "X-message",
      "X-Scan",
    ]);
    judge.resetTransaction();
    expect((await judge.judge(asked, undefined)).effects.map(({ kind }) => kind)).toEqual(["prepend"]);
  });

  test("what is said again stands last, but for headers", async () => {
    const saying: Words = {
      for_all: () => [header("X-All"), { kind: "redirect", address: "all@ours.example" }],
      for_b: ({ recipient }) =>
        recipient?.address.startsWith("b@") === true
          ? [header("X-B"), { kind: "redirect", address: "b@ours.example" }]
          : undefined,
    };
    const { policy } = await setUp({ lists: { mail: ["for_all"], rcpt: ["for_b"] } }, { words: saying });
    const judge = policy.start();
    const addresses = ["a", "b", "c"].map((name) => `${name}@ours.example`);
    for (const address of addresses) await judge.ask("rcpt", question(address));
    const named = addresses.map((address) => ({ address, original: address }));
    const ruling = await judge.judge({ ...asked, transaction: { ...asked.transaction, recipients: named } }, undefined);
    expect(ruling.effects).toEqual([
      header("X-All"),
      header("X-B"),
      { kind: "redirect", address: "b@ours.example" },
      { kind: "redirect", address: "all@ours.example" },
    ]);
  });

  type Scanners = () => MaybePromise<Scanned | undefined>;
  test.for<[list: string, scanned: Scanners, answer: string | undefined, list: string | undefined]>([
    ["dunno", () => undefined, undefined, undefined],
    ["ok", () => undefined, undefined, "message"],
    ["no", () => undefined, "550 no", "message"],
    ["no", () => Promise.reject(new Error("late")), "550 no", "message"],
    ["ok", () => ({ answer: reject("EICAR") }), "550 EICAR", "scanners"],
    ["dunno_late", async () => ({ answer: reject("EICAR") }), "550 EICAR", "scanners"],
    ["dunno", async () => ({ answer: defer("down", "4.3.0", 451) }), "451 down", "scanners"],
    ["warn_if_reject no", () => ({ answer: reject("EICAR") }), "550 EICAR", "scanners"],
    [
      "defer_if_reject",
      () => ({ answer: reject("EICAR") }),
      "450 <END-OF-MESSAGE>: End-of-data rejected: defer_if_reject requested",
      "message",
    ],
    [
      "defer_if_permit",
      () => undefined,
      "450 <END-OF-MESSAGE>: End-of-data rejected: defer_if_permit requested",
      "message",
    ],
    ["dunno", () => Promise.reject(new Error("x")), "451 Temporary failure, try again later", "scanners"],
    ["dunno", () => reject("not an outcome") as never, "451 Temporary failure, try again later", "scanners"],
    ["dunno", () => "clean" as never, "451 Temporary failure, try again later", "scanners"],
    ["dunno", () => ({ answer: { kind: "tag" } as never }), "451 Temporary failure, try again later", "scanners"],
  ])("list %s, scanners %o: %s", async ([list, scanned, answer, decided]) => {
    const { policy } = await setUp({ lists: { message: [list] } }, { words });
    const ruling = await policy.start().judge(asked, scanned());
    const { reply } = ruling.objection ?? {};
    expect(reply && `${reply.code} ${reply.text}`).toBe(answer);
    expect(ruling.recipients).toEqual(answer === undefined ? recipients : []);
    expect(ruling.by?.list).toBe(decided);
  });

  test("of several scanners the log hears which one objected", async () => {
    const { policy } = await setUp({ lists: { message: ["dunno"] } }, { words });
    const by = { scanner: "clamd-b", plugin: "av" };
    const ruling = await policy.start().judge(asked, { answer: reject("EICAR"), by });
    expect(ruling.by).toEqual({ list: "scanners", path: "scanners", word: "clamd-b", plugin: "av" });
  });

  const dropped = { kind: "discard", text: "not for lists" } as const;
  const aside = { kind: "quarantine", text: "doubtful" } as const;
  const [a, c] = recipients;
  test.for<[what: string, each: readonly RecipientAnswer[], mixed: MixedPolicy, expected: object]>([
    ["all alike", [permit, undefined], "discard", { recipients, quarantined: [], discarded: [], effects: [] }],
    [
      "one is dropped",
      [undefined, dropped],
      "reject-all",
      { recipients: [a], discarded: [c], discardReason: "not for lists" },
    ],
    [
      "one is put aside",
      [aside, undefined],
      "reject-all",
      { recipients: [c], quarantined: [a], quarantineReason: "doubtful" },
    ],
    [
      "one is refused: dropped",
      [reject("EICAR"), undefined],
      "discard",
      { recipients: [c], discarded: [a], discardReason: "refused for these recipients: 550 5.7.1 EICAR" },
    ],
    [
      "one is refused: put aside",
      [reject("EICAR"), permit],
      "quarantine",
      { recipients: [c], quarantined: [a], quarantineReason: "refused for these recipients: 550 5.7.1 EICAR" },
    ],
    // What nobody gets has one fate.
    [
      "all are dropped",
      [dropped, dropped],
      "reject-all",
      { recipients, discarded: [], discardReason: "", effects: [dropped] },
    ],
    [
      "all are put aside",
      [aside, reject("EICAR")],
      "quarantine",
      {
        recipients,
        quarantined: [],
        effects: [{ kind: "quarantine", text: "doubtful; refused for these recipients: 550 5.7.1 EICAR" }],
      },
    ],
    [
      "one is put aside, one dropped",
      [aside, dropped],
      "reject-all",
      { recipients: [a], quarantined: [], discarded: [c], discardReason: "not for lists", effects: [aside] },
    ],
    [
      "one is refused, and for all",
      [reject("EICAR"), aside],
      "reject-all",
      { objection: reject("EICAR"), recipients: [], quarantined: [], discarded: [], by: { list: "scanners" } },
    ],
    ["one is deferred", [undefined, defer("down", "4.3.0", 450)], "discard", { objection: { reply: { code: 451 } } }],
  ])("by recipient: %s", async ([, each, mixed, expected]) => {
    const { policy } = await setUp({ lists: {}, mixed });
    expect(await policy.start().judge(asked, { answer: undefined, recipients: each })).toMatchObject(expected);
  });
});
