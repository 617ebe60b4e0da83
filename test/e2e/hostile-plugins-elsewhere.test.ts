// Misdeeds beside sessions: tables, transports, routes, the gateway's life, services; and one story in a real process.
import access from "@postern/plugin-access";
import {
  definePlugin,
  delivered,
  type DeliveryRequest,
  type Gateway,
  type LookupTable,
  type Outcome,
  type PluginDefinition,
  type Transport,
} from "@postern/core";
import { createFakeClock, createTestGateway, smtp, type FakeClock, type TestGateway } from "@postern/testkit";
import { describe, expect, it, test } from "vitest";
import { z } from "zod";
import { hand } from "./dialogue.ts";
import { startGateway } from "./gateway.ts";
import { misdeeds } from "./misdeeds.ts";
import { until } from "./until.ts";

const plugin = (setup: (gateway: Gateway) => unknown, name = "hostile"): PluginDefinition =>
  definePlugin({ name, apiVersion: 1, options: z.strictObject({}), setup: setup as () => void });

const domains = { relay: ["example.test"] };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function expectSafe({ log }: Pick<TestGateway, "log">): void {
  expect(log.filter((line) => /[\r\n\0]/.test(line) || line.length > 2_000)).toEqual([]);
}

/** Moves time in seconds until the work is done; files and sockets take real time. */
async function drive<T>(clock: FakeClock, work: Promise<T>, seconds = 250): Promise<T> {
  let over = false;
  void work.then(
    () => (over = true),
    () => (over = true),
  );
  for (let passed = 0; passed < seconds && !over; passed += 1) {
    await clock.run(1_000);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (!over) throw new Error("it did not come to an end");
  return work;
}

describe("a table", () => {
  const table = (lookup: LookupTable["lookup"]): PluginDefinition =>
    plugin((gateway) =>
      gateway.tables.register("hostile", (name) => ({
        type: "hostile",
        name,
        kind: "indexed",
        trusted: true,
        lookup,
        close: async () => undefined,
      })),
    );
  const text = "\r\n250 Ok".repeat(150_000);
  const more = [
    { name: "finds a megabyte of line ends", call: () => `REJECT ${text}`, is: "refused" },
    { name: "finds a word that nobody knows", call: () => text, is: "error" },
  ] as const;
  test.each([...misdeeds.filter(({ is }) => is !== "silent"), ...more])(
    "$name: no policy makes that not found",
    async ({ call }) => {
      const clock = createFakeClock();
      const entry = { onError: "skip", deadline: "5s" } as const;
      const gateway = await createTestGateway(
        { domains, policy: { rcpt: ["check_recipient_access hostile:x"] } },
        { clock, plugins: [access, [table(call as LookupTable["lookup"]), entry]] },
      );
      const dialogue = smtp(gateway).say("MAIL FROM:<a@source.test>").say("RCPT TO:<user@example.test>");
      const reply = await drive(clock, Promise.resolve(dialogue));
      // A text may be an answer after all; silence it never is.
      expect(reply).toMatch(/^(?:451 4\.3\.\d|554 5\.7\.1) .{0,450}$/);
      await drive(clock, gateway.close());
      expectSafe(gateway);
    },
  );
});

describe("a transport", () => {
  const hugeText = "\r\nX-Injected: yes".repeat(60_000);
  const settled: readonly {
    name: string;
    call: (request: DeliveryRequest, settle: (recipient: never, outcome: never) => void) => unknown;
  }[] = [
    {
      name: "settles strangers",
      call: (_, settle) => settle({ address: "user@example.test" } as never, delivered("x") as never),
    },
    { name: "settles with nonsense", call: ({ recipients }, settle) => settle(recipients[0] as never, null as never) },
    {
      name: "defers in a megabyte",
      call: ({ recipients }, settle) => (
        settle(recipients[0] as never, { status: "deferred", enhanced: "4.0.0", text: hugeText } as never),
        { destination: "alive", reason: hugeText }
      ),
    },
    {
      name: "asks to be tried never again",
      call: () => ({ destination: "dead", retryAfterMs: Number.NaN, reason: 7 }),
    },
  ];
  test.each([...misdeeds.map(({ name, call }) => ({ name, call: () => call() })), ...settled])(
    "$name: the mail stays, and arrives when it behaves",
    async ({ call }) => {
      const clock = createFakeClock();
      const outcomes: Outcome["status"][] = [];
      let calls = 0;
      const transport = plugin((gateway) => {
        gateway.hooks.queue.deferred.tap((_message, _recipient, outcome) => void outcomes.push(outcome.status));
        gateway.hooks.queue.bounced.tap((_message, _recipient, outcome) => void outcomes.push(outcome.status));
        gateway.hooks.queue.delivered.tap((_message, _recipient, outcome) => void outcomes.push(outcome.status));
        gateway.transport({
          name: "smtp",
          description: "Misbehaves once.",
          deliver: ((request: DeliveryRequest, controls: { settle: (recipient: never, outcome: never) => void }) => {
            calls += 1;
            if (calls === 1) return call(request, controls.settle);
            for (const recipient of request.recipients) controls.settle(recipient as never, delivered("ok") as never);
            return Promise.resolve({ destination: "alive" });
          }) as unknown as Transport["deliver"],
          close: async () => undefined,
        });
      });
      const gateway = await createTestGateway(
        { domains, delivery: { timeout: "10s" } },
        { clock, plugins: [transport], memoryTransports: false },
      );
      const dialogue = smtp(gateway).say("MAIL FROM:<a@source.test>").say("RCPT TO:<user@example.test>");
      await drive(clock, Promise.resolve(dialogue.data("Subject: x\n\nx\n").expect(/^250 /).hangUp()));
      for (let minutes = 0; minutes < 200 && gateway.runtime.status().queue.messages > 0; minutes += 1)
        await clock.run(60_000);
      await turn();
      expect(outcomes).toEqual(["deferred", "delivered"]);
      await drive(clock, gateway.close());
      expectSafe(gateway);
    },
  );
});

describe("the gateway's life", () => {
  const failing = misdeeds
    .filter(({ is }) => is === "error" || is === "timeout")
    .map(({ name, call }) => ({ name, call: () => call() as undefined }));
  const neighbour = (diary: string[]): PluginDefinition =>
    plugin((gateway) => gateway.onClose(() => void diary.push("neighbour closed")), "neighbour");
  const at: Readonly<Record<string, (call: () => unknown) => PluginDefinition>> = {
    setup: (call) => plugin(() => call()),
    ready: (call) => plugin((gateway) => gateway.onReady(call as () => undefined)),
    "compiling a word": (call) =>
      plugin((gateway) =>
        gateway.restriction({
          name: "hostile_word",
          description: "Misbehaves.",
          stages: ["rcpt"],
          args: z.tuple([]),
          compile: call as () => never,
        }),
      ),
    "opening a table": (call) =>
      plugin((gateway) => {
        gateway.tables.register("hostile", call as () => never);
        gateway.tables.use("hostile:x");
      }),
  };
  for (const [point, make] of Object.entries(at)) {
    test.each(failing)(`$name in ${point}: it does not start, and says whose fault it is`, async ({ call }) => {
      const clock = createFakeClock();
      const diary: string[] = [];
      const policy = point === "compiling a word" ? { policy: { rcpt: ["hostile_word"] } } : {};
      const started = createTestGateway({ domains, ...policy }, { clock, plugins: [neighbour(diary), make(call)] });
      const error = await drive(
        clock,
        started.then(() => new Error("it started")).catch((caught: unknown) => caught),
      );
      expect((error as Error).message).toMatch(/hostile/);
      expect(diary).toEqual(["neighbour closed"]);
    });
  }

  test.each(failing)("$name in close: the others are closed all the same", async ({ call }) => {
    const clock = createFakeClock();
    const diary: string[] = [];
    const hostile = plugin((gateway) => gateway.onClose(call));
    const gateway = await createTestGateway({ domains }, { clock, plugins: [neighbour(diary), hostile] });
    await drive(clock, gateway.close());
    expect(diary).toEqual(["neighbour closed"]);
    expect(gateway.log.filter((line) => /plugin hostile: close failed/.test(line))).toHaveLength(1);
    expectSafe(gateway);
  });

  const told = ["lifecycle.ready", "lifecycle.closing"];
  test.each(told.flatMap((hook) => failing.map(({ name, call }) => ({ hook, name, call }))))(
    "$name at $hook",
    async ({ hook, call }) => {
      const clock = createFakeClock();
      const hostile = plugin(({ hooks: { lifecycle } }) => {
        if (hook === "lifecycle.ready") lifecycle.ready.tap(call);
        else lifecycle.closing.tap(call);
      });
      const gateway = await createTestGateway({ domains }, { clock, plugins: [[hostile, { deadline: "5s" }]] });
      await drive(clock, Promise.resolve(smtp(gateway).say("QUIT").expect(/^221 /)));
      await drive(clock, gateway.close());
      expect(gateway.log.filter((line) => line.includes(`plugin hostile: ${hook} failed`))).toHaveLength(1);
    },
  );

  test("a service that throws is its user's failure, under its user's name", async () => {
    const offering = plugin(
      (gateway) =>
        gateway.provide(
          { name: "service" },
          {
            ask: () => {
              throw new Error("service is broken");
            },
          },
        ),
      "offering",
    );
    const using = plugin((gateway) => {
      const service = gateway.use<{ ask(): void }>({ name: "service" });
      gateway.hooks.smtp.rcpt.tap(() => service.ask() as undefined);
    }, "using");
    await using gateway = await createTestGateway({ domains }, { plugins: [offering, using] });
    await smtp(gateway)
      .say("MAIL FROM:<a@source.test>")
      .say("RCPT TO:<user@example.test>")
      .expect(/^451 4\.3\.0 /)
      .hangUp();
    expect(
      gateway.log.filter((line) => /plugin using: smtp\.rcpt failed \(error\): service is broken/.test(line)),
    ).toHaveLength(1);
    await expect(createTestGateway({ domains }, { plugins: [using] })).rejects.toThrow(
      /using.*no plugin before it provides the service "service"/,
    );
  });
});

describe("in a real process", () => {
  const source = `
    import { definePlugin } from "@postern/core";
    import { z } from "zod";
    const misdeeds = {
      throw: () => { throw new Error("thrown at /etc/shadow\\r\\n250 Ok"); },
      reject: () => Promise.reject(new Error("rejected")),
      hang: () => new Promise(() => undefined),
      nonsense: () => 42,
      huge: () => ({ kind: "reject", reply: { code: 550, enhanced: "5.7.1", text: "\\r\\n250 Ok ".repeat(100000) } }),
      stray: () => { void Promise.reject(new Error("stray")); return undefined; },
    };
    export default definePlugin({
      name: "hostile", apiVersion: 1, options: z.strictObject({}),
      setup(gateway) {
        gateway.hooks.smtp.rcpt.tap(({ address }) => misdeeds[address.split("@")[0]]?.());
      },
    });`;

  it("misbehaves at every turn, and everybody else is served by the same process", async () => {
    await using gateway = await startGateway({
      config: {
        networks: [],
        domains: { local: ["example.test"] },
        plugins: [
          ["@postern/plugin-transport-maildir", { directory: "./mail" }],
          ["./hostile.mjs", { deadline: "300ms" }],
        ],
      },
      files: { "hostile.mjs": source },
    });
    const expected: Readonly<Record<string, RegExp>> = {
      throw: /^451 4\.3\.0 [^\n]*$/,
      reject: /^451 4\.3\.0 /,
      hang: /^451 4\.3\.0 /,
      nonsense: /^451 4\.3\.0 /,
      huge: /^550 5\.7\.1 [^\n]{0,500}$/,
    };
    const replies = await Promise.all(
      Object.keys(expected).flatMap((name) => [
        hand(gateway.port, { to: `${name}@example.test` }),
        hand(gateway.port, { to: "user@example.test" }),
      ]),
    );
    for (const [index, pattern] of Object.values(expected).entries()) {
      expect(replies[index * 2]).toMatch(pattern);
      expect(replies[index * 2 + 1]).toMatch(/^250 2\.0\.0 /);
    }
    await until(() =>
      ["throw", "reject", "hang", "nonsense"].every(
        () => gateway.log().split("plugin hostile: smtp.rcpt failed").length === 5,
      ),
    );
    expect(gateway.log()).not.toMatch(/^250/m);
    expect(() => process.kill(gateway.pid, 0)).not.toThrow();
  });
});
