// The kinds of hook, as the host calls them and plugins tap them.
import { createFakeClock } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { createGuard, type Failed, type OnError, type Owner } from "../guard/index.ts";
import type { Edit, Message } from "../message/message.ts";
import {
  defer,
  isPromise,
  reject,
  type Recipient,
  type Route,
  type Session,
  type Transaction,
} from "../model/index.ts";
import { createHooks, hooksFor, listHooks, PipeObjection, type PluginHooks } from "./index.ts";
import { PosternError } from "../errors.ts";
import { concatBlobs, createMemoryBlob, createMessage, type Blob } from "../message/index.ts";

const session = { id: "S" } as Session;
const transaction = { id: "T" } as Transaction;
const recipient: Recipient = { address: "a@example.test", original: "a@example.test" };

function setUp() {
  const clock = createFakeClock();
  const failures: Failed[] = [];
  const guard = createGuard(clock, (failed) => void failures.push(failed));
  const hooks = createHooks(guard);
  const plugin = (name: string, onError: OnError = "defer"): PluginHooks =>
    hooksFor(hooks, { name, onError, deadlineMs: 1_000 } satisfies Owner, () => undefined);
  const rcpt = () => hooks.smtp.rcpt.call(recipient, transaction, session);
  return { clock, failures, hooks, plugin, rcpt };
}

const boom = () => {
  throw new Error("boom at /etc/secret");
};

describe("first", () => {
  test("untapped it says so, and answers at once", () => {
    const { hooks, rcpt } = setUp();
    expect(hooks.smtp.rcpt.tapped).toBe(false);
    expect(rcpt()).toBeUndefined();
  });

  test("taps are asked by place, then in the order they came, whoever owns them", () => {
    const { plugin, rcpt, hooks } = setUp();
    const asked: string[] = [];
    const note = (name: string) => () => void asked.push(name);
    const [one, two] = [plugin("one"), plugin("two")];
    one.smtp.rcpt.tap({ place: "sign" }, note("one sign"));
    one.smtp.rcpt.tap(note("one"));
    two.smtp.rcpt.tap({ place: "observe" }, note("two observe"));
    two.smtp.rcpt.tap({ place: "inspect" }, note("two"));
    one.smtp.rcpt.tap({}, note("one again"));
    expect(rcpt()).toBeUndefined();
    expect(asked).toEqual(["two observe", "one", "two", "one again", "one sign"]);
    expect(listHooks(hooks).find(({ name }) => name === "smtp.rcpt")?.taps[0]).toEqual({
      owner: "two",
      place: "observe",
    });
  });

  test("the first objection ends it, and who stands behind is not asked", () => {
    const { plugin, rcpt } = setUp();
    plugin("one").smtp.rcpt.tap(() => undefined);
    plugin("two").smtp.rcpt.tap(() => defer("later"));
    plugin("three").smtp.rcpt.tap(boom);
    expect(rcpt()).toEqual(defer("later"));
  });

  test("it stays synchronous until the first promise, and goes on behind it", async () => {
    const { plugin, rcpt, clock } = setUp();
    const asked: string[] = [];
    plugin("sync").smtp.rcpt.tap(() => void asked.push("sync"));
    expect(isPromise(rcpt())).toBe(false);
    expect(clock.pending).toBe(0);
    plugin("async").smtp.rcpt.tap(async () => void asked.push("async"));
    plugin("behind").smtp.rcpt.tap(() => {
      asked.push("behind");
      return reject("no");
    });
    asked.length = 0;
    const answer = rcpt();
    expect([isPromise(answer), asked, clock.pending]).toEqual([true, ["sync", "async"], 1]);
    expect(await answer).toEqual(reject("no"));
    expect([asked, clock.pending]).toEqual([["sync", "async", "behind"], 0]);
  });

  test.each<[onError: OnError, code: number | undefined]>([
    ["defer", 451],
    ["reject", 554],
    ["skip", undefined],
    [{ timeout: "reject" }, 451],
  ])("a failed tap answers by its owner's onError: %j", (onError, code) => {
    const { plugin, rcpt, failures } = setUp();
    let behind = 0;
    plugin("bad", onError).smtp.rcpt.tap(boom);
    plugin("behind").smtp.rcpt.tap(() => void (behind += 1));
    const answer = rcpt();
    expect((answer as { reply?: { code: number } } | undefined)?.reply?.code).toBe(code);
    expect(JSON.stringify(answer ?? "")).not.toContain("secret");
    expect(behind).toBe(code === undefined ? 1 : 0);
    expect(failures.map(({ owner, point }) => [owner.name, point])).toEqual([["bad", "smtp.rcpt"]]);
  });

  test.each([
    ["null", null],
    ["permit", { kind: "permit" }],
    ["true", true],
    ["2yz", { kind: "reject", reply: { code: 250 } }],
  ])("%s is not an answer: onError, reason invalid", (_, nonsense) => {
    const { plugin, rcpt, failures } = setUp();
    plugin("bad", { invalid: "reject" }).smtp.rcpt.tap(() => nonsense as never);
    expect(rcpt()).toMatchObject({ kind: "reject", reply: { code: 554 } });
    expect(failures).toMatchObject([{ reason: "invalid" }]);
  });

  test("a tap that hangs is given up at its deadline, and those behind it are asked all the same", async () => {
    const { plugin, rcpt, clock, failures } = setUp();
    plugin("hangs", { timeout: "skip" }).smtp.rcpt.tap(() => new Promise(() => undefined));
    plugin("behind").smtp.rcpt.tap(() => reject("no"));
    const answer = rcpt();
    await clock.run(1_000);
    expect(await answer).toEqual(reject("no"));
    expect(failures).toMatchObject([{ owner: { name: "hangs" }, reason: "timeout" }]);
  });
});

describe("pipe", () => {
  const message = createMessage(createMemoryBlob([Buffer.from("Subject: s\r\n\r\n")]));
  const names = (edited: Message) => [...edited.headers].map(({ name }) => name);
  const edit = (name: string): readonly Edit[] => [{ kind: "prependHeader", name, value: "x" }];

  test("each tap sees the result so far; undefined leaves it", async () => {
    const { plugin, hooks } = setUp();
    const seen: string[][] = [];
    const tap = (answer: readonly Edit[] | undefined) => (shown: Message) => {
      seen.push(names(shown));
      return answer;
    };
    plugin("one").smtp.modify.tap(tap(edit("A")));
    plugin("two").smtp.modify.tap(async (shown) => tap(undefined)(shown));
    plugin("three").smtp.modify.tap(tap(edit("B")));
    plugin("four").smtp.modify.tap(tap([]));
    const result = await hooks.smtp.modify.call({ message, envelope: [] }, transaction, session);
    expect(names(result.message)).toEqual(["B", "A", "Subject"]);
    const one = ["A", "Subject"];
    expect(seen).toEqual([["Subject"], one, one, ["B", ...one]]);
    expect(names(message)).toEqual(["Subject"]);
  });

  test("a body that is in a file is spliced before the next tap sees it; one that cannot be read is nobody's onError", async () => {
    for (const readable of [true, false]) {
      const { plugin, hooks, failures } = setUp();
      const body = Buffer.from("old body\r\n");
      const onDisk = (from: number, to: number): Blob => ({
        sizeBytes: to - from,
        chunks: undefined,
        slice: (start, end = to - from) => onDisk(from + start, from + end),
        async *read(start = 0, end = to - from) {
          if (!readable) throw new PosternError("STORE_UNAVAILABLE", "the disk is gone");
          yield body.subarray(from + start, Math.min(from + end, to));
        },
      });
      const head = createMemoryBlob([Buffer.from("Subject: s\r\n\r\n")]);
      const inFile = createMessage(concatBlobs([head, onDisk(0, body.length)]));
      plugin("one", "skip").smtp.modify.tap(() => [
        { kind: "spliceBody", start: 0, end: 3, octets: Buffer.from("new") },
      ]);
      const seen: string[] = [];
      plugin("two").smtp.modify.tap(async (shown) => {
        for await (const piece of shown.body.read()) seen.push(piece.toString());
        return undefined;
      });
      const call = async () => hooks.smtp.modify.call({ message: inFile, envelope: [] }, transaction, session);
      if (readable) await call();
      else await expect(call()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      expect([seen.join(""), failures]).toEqual([readable ? "new body\r\n" : "", []]);
    }
  });

  test.each([
    ["throws", boom],
    ["rejects", () => Promise.reject(new Error("x"))],
    ["answers null", () => null as never],
  ])("a tap that %s ends it with its onError; with skip it counts for nothing", async (_, call) => {
    for (const onError of ["defer", "skip"] as const) {
      const { plugin, hooks } = setUp();
      plugin("bad", onError).smtp.modify.tap(call);
      plugin("good").smtp.modify.tap(() => edit("A"));
      const run = async () => hooks.smtp.modify.call({ message, envelope: [] }, transaction, session);
      if (onError === "skip") expect(names((await run()).message)).toEqual(["A", "Subject"]);
      else await expect(run()).rejects.toMatchObject({ objection: { kind: "defer", reply: { code: 451 } } });
    }
  });

  test.each<[what: string, answer: unknown]>([
    ["a string", "nonsense"],
    ["an edit alone", { kind: "prependHeader", name: "A", value: "x" }],
    ["null inside", [null]],
    ["an unknown kind", [{ kind: "nonsense" }]],
    ["no value", [{ kind: "prependHeader", name: "A" }]],
    ["a field that counts from 0", [{ kind: "deleteHeader", name: "A", nth: 0 }]],
    ["a body of text", [{ kind: "replaceBody", body: "text" }]],
    ["an address of nothing", [{ kind: "addRecipient", address: undefined }]],
    ["an address that is none", [{ kind: "addRecipient", address: "nobody" }]],
    ["two addresses in one", [{ kind: "changeSender", address: "a@x.test>\r\nRCPT TO:<b@x.test" }]],
    ["nobody as a recipient", [{ kind: "removeRecipient", address: "<>" }]],
    ["ever so many", Array(10_001).fill(edit("A")[0])],
  ])("%s is no list of edits", async (_, answer) => {
    const { plugin, hooks, failures } = setUp();
    plugin("bad").smtp.modify.tap(() => answer as never);
    const message = createMessage(createMemoryBlob([Buffer.from("A: b\r\n\r\n")]));
    const run = async () => hooks.smtp.modify.call({ message, envelope: [] }, transaction, session);
    await expect(run()).rejects.toMatchObject({ objection: { reply: { code: 451 } } });
    expect(failures).toMatchObject([{ reason: "invalid" }]);
  });

  test("a route is made anew: what else a plugin's object holds never travels on", async () => {
    const { plugin, hooks, failures } = setUp();
    const route: Route = { class: "relay", transport: "smtp", nextHop: "example.test" };
    const nasty = { class: "local", transport: "maildir", nextHop: "", extra: "x" };
    plugin("one").delivery.route.tap(() => nasty as never);
    const call = () => hooks.delivery.route.call(route, recipient, {} as never);
    expect(call()).toEqual({ class: "relay", transport: "maildir", nextHop: "" });
    plugin("two").delivery.route.tap(() => ({ transport: "smtp" }) as never);
    expect(call).toThrow(PipeObjection);
    expect(failures).toMatchObject([{ owner: { name: "two" }, reason: "invalid" }]);
  });
});

describe("report", () => {
  test("is told after the caller went on, in order; failures are logged and harm nobody", async () => {
    const { plugin, hooks, failures } = setUp();
    const told: string[] = [];
    plugin("bad").smtp.closed.tap(boom);
    plugin("rejects").smtp.closed.tap(() => Promise.reject(new Error("x")));
    plugin("nonsense").smtp.closed.tap(() => null);
    plugin("good").smtp.closed.tap(({ id }) => void told.push(id));
    for (const id of ["1", "2"]) hooks.smtp.closed.call({ ...session, id });
    expect(told).toEqual([]);
    await hooks.smtp.closed.drained();
    expect(told).toEqual(["1", "2"]);
    expect(failures.map(({ owner }) => owner.name).toSorted()).toEqual(["bad", "bad", "rejects", "rejects"]);
  });

  test("a tap that hangs holds a bounded number of reports; what comes after is dropped and counted", async () => {
    const { plugin, hooks, clock, failures } = setUp();
    let asked = 0;
    plugin("hangs").smtp.closed.tap(() => {
      asked += 1;
      return new Promise<void>(() => undefined);
    });
    const hook = hooks.smtp.closed;
    for (let count = 0; count < 10_000; count += 1) hook.call(session);
    await clock.run(0);
    await clock.run(0);
    await clock.run(0);
    expect(asked).toBe(1_000);
    for (let count = 0; count < 2_000; count += 1) hook.call(session);
    expect(hook.dropped).toBe(1_000);
    const done = hook.drained();
    for (let round = 0; round < 11; round += 1) await clock.run(1_000);
    await done;
    expect([asked, failures.length, clock.pending]).toEqual([11_000, 11_000, 0]);
  });

  test("an untapped report keeps nothing", async () => {
    const { hooks } = setUp();
    for (let count = 0; count < 20_000; count += 1) hooks.smtp.closed.call(session);
    expect(hooks.smtp.closed.dropped).toBe(0);
    await hooks.smtp.closed.drained();
  });
});

describe("what a plugin gets", () => {
  test("a point that it can tap and describe, not call; nor can it change the face", () => {
    const { plugin } = setUp();
    const { smtp } = plugin("one");
    expect(Object.keys(smtp.rcpt).toSorted()).toEqual(["args", "doc", "kind", "name", "tap"]);
    expect(() => Object.assign(smtp, { rcpt: undefined })).toThrow(TypeError);
    expect(() => Object.assign(smtp.rcpt, { tap: boom })).toThrow(TypeError);
    expect("all" in plugin("one")).toBe(false);
  });

  test("a tap after set-up is refused", () => {
    const { hooks } = setUp();
    let open = true;
    const { smtp } = hooksFor(hooks, { name: "late", onError: "defer", deadlineMs: 1 }, () => {
      if (!open) throw new Error("set-up is over");
    });
    smtp.rcpt.tap(() => undefined);
    open = false;
    expect(() => smtp.rcpt.tap(() => undefined)).toThrow("set-up is over");
    expect(hooks.smtp.rcpt.taps).toHaveLength(1);
  });

  test.each([
    ["no function", () => [{}, undefined], /a tap is a function/],
    ["nothing at all", () => [undefined, undefined], /a tap is a function/],
    ["an unknown place", () => [{ place: "first" }, () => undefined], /no place "first"; places are observe/],
  ])("%s is refused at once, naming the hook", (_, args, message) => {
    const { plugin } = setUp();
    const point = plugin("bad").smtp.rcpt as { tap(...given: unknown[]): void };
    const tap = (...given: unknown[]) => point.tap(...given);
    expect(() => tap(...args())).toThrow(message);
    expect(() => tap(...args())).toThrow(/smtp\.rcpt/);
  });

  test("every hook of the catalogue has a unique name and says what it is", () => {
    const listing = listHooks(setUp().hooks);
    expect(new Set(listing.map(({ name }) => name)).size).toBe(listing.length);
    for (const { name, doc, args } of listing) {
      expect(name).toMatch(/^[a-z]+\.[a-zA-Z]+$/);
      expect([doc.endsWith("."), args.length > 0]).toEqual([true, true]);
    }
  });
});
