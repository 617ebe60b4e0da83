// What scanners may say, carried out: changes in the config's order, each recipient's own fate, and for every reason of a failure the policy that was
// declared for it.
import {
  definePlugin,
  failureReasons,
  ScannerFailure,
  tagSubject,
  type FailureReason,
  type PluginDefinition,
  type ScanAnswer,
  type ScanAsk,
} from "@postern/core";
import { createTestGateway, smtp, type TestGateway } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { z } from "zod";

type Say = (ask: ScanAsk) => ScanAnswer | Promise<ScanAnswer>;

const scanner = (name: string, scan: Say): PluginDefinition =>
  definePlugin({
    name,
    apiVersion: 1,
    options: z.strictObject({}),
    setup: (gateway) => gateway.scanner({ name, description: "For this test.", scan }),
  });

const config = {
  domains: { relay: { domains: ["example.test"], recipients: { "@example.test": "everybody" } } },
} as const;

function open(scanners: readonly (readonly [Say, object?])[], more: object = {}): Promise<TestGateway> {
  return createTestGateway(
    { ...config, ...more },
    {
      plugins: scanners.map(([scan, options], index) => [
        scanner(`engine-${index}`, scan),
        { onError: "defer", ...options },
      ]),
    },
  );
}

const mail = "Subject: =?utf-8?Q?caf=C3=A9?=\nTo: someone\nX-Old: 1\n\nfirst line\nsecond line\n";

async function send(gateway: TestGateway, to: readonly string[] = ["a"]): Promise<string> {
  let said = "";
  let dialogue = smtp(gateway).say("MAIL FROM:<sender@source.test>");
  for (const name of to) dialogue = dialogue.say(`RCPT TO:<${name}@example.test>`).expect(/^250 /);
  await dialogue.data(mail).expect({
    test(reply: string) {
      said = reply;
      return true;
    },
  } as RegExp);
  return said;
}

/** Without what the gateway puts on top. */
const received = ({ content }: { readonly content: Buffer }): string =>
  content.toString("latin1").replace(/^Received: [^\r]*\r\n(?:[ \t][^\r]*\r\n)*/, "");

const edit = (change: Extract<ScanAnswer, { kind: "edit" }>["edit"]) => ({ kind: "edit", edit: change }) as const;

describe("changes", () => {
  test("of header, body, sender and recipients, in the order of the config", async () => {
    await using gateway = await open([
      [
        async ({ message, openSpool }) => {
          const spool = openSpool();
          await spool.write(Buffer.from("cleaned\nbody\n"));
          const body = await spool.end();
          if (body === undefined) throw new Error("it fits");
          return [...tagSubject(message, "[ext]").map(edit), edit({ kind: "replaceBody", body })];
        },
      ],
      [
        () => [
          edit({ kind: "replaceHeader", name: "X-Old", value: "2" }),
          edit({ kind: "insertHeader", index: 0, name: "X-First", value: "é" }),
          { kind: "prepend", name: "X-Spam", value: "no" },
        ],
      ],
      [
        () => [
          edit({ kind: "replaceHeader", name: "X-Old", value: "3\r\nBcc: victim@elsewhere.test" }),
          edit({ kind: "addRecipient", address: "<archive@example.test>" }),
          edit({ kind: "removeRecipient", address: "b@example.test" }),
          edit({ kind: "changeSender", address: "bounces@example.test" }),
        ],
      ],
    ]);
    expect(await send(gateway, ["a", "b"])).toMatch(/^250 2\.0\.0 /);
    const [delivery] = await gateway.delivered(1);
    expect([delivery?.sender, delivery?.recipients]).toEqual([
      "bounces@example.test",
      ["a@example.test", "archive@example.test"],
    ]);
    expect(delivery && received(delivery)).toBe(
      "X-Spam: no\r\nX-First: =?utf-8?B?w6k=?=\r\nSubject: [ext] =?utf-8?Q?caf=C3=A9?=\r\nTo: someone\r\n" +
        "X-Old: 3 Bcc: victim@elsewhere.test\r\n\r\ncleaned\r\nbody\r\n",
    );
  });

  test.each<[what: string, wrong: unknown]>([
    ["a kind that there is not", { kind: "edit", edit: { kind: "rot13" } }],
    ["no edit", { kind: "edit" }],
    ["a header without a value", { kind: "edit", edit: { kind: "appendHeader", name: "X" } }],
    ["an address that is none", { kind: "edit", edit: { kind: "addRecipient", address: "x y" } }],
    ["a sender with a line end", { kind: "edit", edit: { kind: "changeSender", address: "a@b.test\r\nDATA" } }],
    ["a blob that nobody can read", { kind: "edit", edit: { kind: "replaceBody", body: { sizeBytes: 5, read: 1 } } }],
    ["answers for more recipients than there are", { kind: "perRecipient", answers: [undefined, undefined] }],
    ["a header for one recipient", { kind: "perRecipient", answers: [{ kind: "prepend", name: "X", value: "y" }] }],
    ["two answers by recipient", [1, 2].map(() => ({ kind: "perRecipient", answers: [undefined] }))],
  ])("%s: the scanner's own policy stands, and nothing is lost", async (_, wrong) => {
    await using gateway = await open([[() => wrong as ScanAnswer, { onError: { invalid: "skip" } }]]);
    expect(await send(gateway)).toMatch(/^250 2\.0\.0 /);
    const [delivery] = await gateway.delivered(1);
    expect(delivery && received(delivery)).toMatch(/^X-Postern-Unscanned: engine-0 \(invalid\)\r\nSubject: /);
    expect(gateway.log.join("\n")).toMatch(/plugin engine-0: scanner engine-0 failed \(invalid\)/);
  });
});

describe("each recipient's own fate", () => {
  const fates: Readonly<Record<string, object>> = {
    no: { kind: "reject", reply: { code: 550, enhanced: "5.7.1", text: "not for you" } },
    later: { kind: "defer", reply: { code: 450, enhanced: "4.7.1", text: "later" } },
    drop: { kind: "discard", text: "unwanted" },
    aside: { kind: "quarantine", text: "doubtful" },
  };
  /** By local part; the second engine knows only those with a 2. */
  const byName =
    (suffix: string): Say =>
    ({ transaction }) => ({
      kind: "perRecipient",
      answers: transaction.recipients.map(({ address }) => {
        const [name = ""] = address.split("@");
        return name.endsWith(suffix) ? (fates[name.replace(/\d$/, "")] as undefined) : undefined;
      }),
    });

  type Case = [
    mixed: string,
    to: readonly string[],
    reply: RegExp,
    delivered: readonly string[],
    log: readonly RegExp[],
  ];
  const ok = /^250 2\.0\.0 /;
  test.each<Case>([
    [
      "reject-all",
      ["a", "drop"],
      ok,
      ["a"],
      [/: discard: .*: unwanted; from=<sender@source.test> nrcpt=1 to=<drop@example.test>$/],
    ],
    ["reject-all", ["drop", "drop2"], ok, [], [/: discard: .*: unwanted; from=<sender@source.test> nrcpt=2$/]],
    ["reject-all", ["a", "no2", "drop"], /^550 5\.7\.1 not for you/, [], [/: reject: .*by=scanners/]],
    [
      "discard",
      ["a", "no2", "b"],
      ok,
      ["a", "b"],
      [/: discard: .*refused for these recipients: 550 5\.7\.1 not for you; .* to=<no2@example.test>$/],
    ],
    ["discard", ["no", "no2"], /^550 5\.7\.1 not for you/, [], [/: reject: /]],
    ["discard", ["a", "later2", "no"], /^451 4\.7\.1 later/, [], [/: reject: /]],
    [
      "quarantine",
      ["a", "no", "drop2", "aside2"],
      ok,
      ["a"],
      [
        /: quarantine: .*not for you; doubtful; taken for others as \w+; .* nrcpt=2 to=<no@example.test> to=<aside2@example.test>$/,
        /: discard: .*: unwanted; .* to=<drop2@example.test>$/,
      ],
    ],
  ])("mixed %s: %j", async (mixed, to, reply, delivered, log) => {
    await using gateway = await open([[byName("")], [byName("2")]], { policy: { mixed } });
    expect(await send(gateway, to)).toMatch(reply);
    const wanted = delivered.map((name) => `${name}@example.test`);
    const got = delivered.length === 0 ? [] : await gateway.delivered(1);
    expect(got.flatMap(({ recipients }) => recipients)).toEqual(wanted);
    for (const line of log) expect(gateway.log.filter((one) => line.test(one))).toHaveLength(1);
    expect(gateway.deliveries).toHaveLength(Math.min(delivered.length, 1));
  });
});

describe("a failure is answered as it was declared", () => {
  const failing: Readonly<Record<FailureReason, Say>> = {
    down: () => Promise.reject(new ScannerFailure("down", "connect ECONNREFUSED /run/secret")),
    tooLarge: () => Promise.reject(new ScannerFailure("tooLarge", "secret")),
    unscannable: () => Promise.reject(new ScannerFailure("unscannable", "secret")),
    encrypted: () => Promise.reject(new ScannerFailure("encrypted", "secret")),
    timeout: () => new Promise(() => undefined),
    invalid: () => ({ kind: "tag" }) as never,
    error: () => {
      throw new TypeError("secret");
    },
  };
  const replies = {
    defer: /^451 4\.3\.0 /,
    reject: /^554 5\.3\.0 /,
    quarantine: /^250 2\.0\.0 /,
    skip: /^250 2\.0\.0 /,
  };
  const policies = Object.keys(replies) as (keyof typeof replies)[];
  test.each(failureReasons.flatMap((reason) => policies.map((policy) => [reason, policy] as const)))(
    "%s: %s",
    async (reason, policy) => {
      const other = policy === "reject" ? "defer" : "reject";
      const onError = Object.fromEntries(failureReasons.map((one) => [one, one === reason ? policy : other]));
      await using gateway = await open([[failing[reason], { onError, deadline: "30ms" }], [() => undefined]]);
      const reply = await send(gateway);
      expect(reply).toMatch(replies[policy]);
      expect(reply).not.toMatch(/secret/);
      if (policy === "skip") {
        const [delivery] = await gateway.delivered(1);
        expect(delivery && received(delivery)).toMatch(`X-Postern-Unscanned: engine-0 (${reason})\r\nSubject: `);
        expect(gateway.log.join("\n")).toMatch(`engine-0 gave no verdict (${reason}), taken unscanned`);
      } else {
        expect(gateway.deliveries).toEqual([]);
      }
      expect(gateway.quarantined.map((one) => one.reason)).toEqual(
        policy === "quarantine" ? [`engine-0 gave no verdict (${reason})`] : [],
      );
      expect(gateway.runtime.status().scanners).toMatchObject({
        "engine-0": { plugin: "engine-0", state: "asked", verdicts: {}, failures: { [reason]: 1 } },
        "engine-1": { description: "For this test.", failures: {} },
      });
    },
  );
});
