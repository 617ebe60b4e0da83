// What is told beside the replies: services that are not asked, words that fail, hooks that object, DNS, words that tables name.
import {
  createExplainer,
  createStaticResolver,
  defer,
  definePlugin,
  permit,
  reject,
  type Explained,
  type Question,
  type RuntimeOptions,
} from "@postern/core";
import { instantiate } from "@postern/testkit";
import { expect, test } from "vitest";
import { z } from "zod";
import { configIn, folder, plain, searchFrom } from "./world.ts";

const question: Question = {
  client: "192.0.2.1",
  helo: "client.test",
  from: "a@b.test",
  to: ["user@example.test"],
};

interface Asking {
  readonly patch?: object;
  readonly instances?: RuntimeOptions["instances"];
  readonly live?: boolean;
  readonly ask?: Partial<Question>;
  readonly records?: Parameters<typeof createStaticResolver>[0];
}

async function explain({
  patch = {},
  instances = [],
  live = false,
  ask = {},
  records = {},
}: Asking): Promise<Explained> {
  const config = configIn(folder(), { ...plain, ...patch });
  const resolver = createStaticResolver(records);
  const explainer = await createExplainer(config, { searchFrom, instances, live, resolver });
  try {
    return await explainer.explain({ ...question, ...ask });
  } finally {
    await explainer.close();
  }
}

const words = ({ commands }: Explained, list: string) =>
  commands.flatMap(({ lists }) => lists.filter((one) => one.list === list).flatMap((one) => one.words));

const asked: string[] = [];
const probe = await instantiate(
  definePlugin({
    name: "probe",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      const word = (
        name: string,
        asksService: boolean,
        judge: (dry: boolean) => ReturnType<typeof reject> | typeof permit,
      ) =>
        gateway.restriction({
          name,
          stages: ["rcpt"],
          args: z.tuple([]),
          description: "For a test.",
          asksService,
          compile: () => (ask) => judge(ask.dry),
        });
      word("ask_service", true, (dry) => {
        asked.push(dry ? "dry" : "in earnest");
        return reject("the service says no");
      });
      word("fail", false, () => {
        throw new Error("broken inside");
      });
      gateway.hooks.smtp.mail.tap((sender) => (sender === "hooked@b.test" ? reject("not by me") : undefined));
      gateway.hooks.delivery.route.tap((route, recipient) =>
        recipient.address === "tapped@example.test" ? { ...route, nextHop: "[10.0.0.9]" } : undefined,
      );
      gateway.hooks.smtp.rejected.tap(() => void asked.push("told of a rejection"));
    },
  }),
);
const instances = [probe];
const rcpt = (...list: unknown[]) => ({ policy: { rcpt: list } });

test("a word that talks to a service is asked with --live only, and then dry", async () => {
  const quiet = await explain({ patch: rcpt("ask_service"), instances });
  expect(quiet.verdict).toBe("accepted");
  expect(words(quiet, "rcpt")).toMatchObject(
    [{ word: "ask_service", answer: "not asked", reason: /--live/ }].map((word) => ({
      ...word,
      reason: expect.stringMatching(word.reason) as string,
    })),
  );
  expect(asked).toEqual([]);
  const live = await explain({ patch: rcpt("ask_service"), instances, live: true });
  expect(live.recipients).toMatchObject([{ verdict: "refused", reply: "550 5.7.1 the service says no" }]);
  // Nobody hears of a rejection that there was not.
  expect(asked).toEqual(["dry"]);
});

test("a word that fails is told with its error, which the client never hears", async () => {
  const explained = await explain({ patch: rcpt("fail", "permit"), instances });
  expect(explained.recipients).toMatchObject([
    { verdict: "deferred", reply: "451 4.3.0 Temporary failure, try again later" },
  ]);
  expect(words(explained, "rcpt")).toMatchObject([
    { word: "fail", answer: "failed", reason: "broken inside" },
    { word: "permit", answer: "not reached" },
  ]);
  expect(words(explained, "relay guard")).toMatchObject([{ answer: "not reached" }]);
});

test("a hook that objects is named with its plugin", async () => {
  const explained = await explain({ instances, ask: { from: "hooked@b.test" } });
  expect(explained.recipients).toMatchObject([
    { verdict: "refused", reply: "550 5.7.1 not by me", by: { list: "hook", path: "smtp.mail", plugin: "probe" } },
  ]);
  expect(explained.commands.map(({ command }) => command)).toEqual(["CONNECT", "HELO", "MAIL"]);
});

test("DNS is told where it was asked: the client's name at its connection, a word's question at the word", async () => {
  const explained = await explain({
    patch: rcpt("reject_unknown_sender_domain"),
    records: { "192.0.2.1": { ptr: ["client.test"] }, "client.test": { a: ["192.0.2.1"] } },
  });
  expect(explained.client?.name).toBe("client.test");
  expect(explained.commands[0]?.dns.map(({ type, name, answers }) => [type, name, answers])).toEqual([
    ["reverse", "192.0.2.1", ["client.test"]],
    ["a", "client.test", ["192.0.2.1"]],
  ]);
  const [word] = words(explained, "rcpt");
  expect(word).toMatchObject({ word: "reject_unknown_sender_domain", answer: "defer" });
  expect(word?.dns).toContainEqual(expect.objectContaining({ type: "mx", name: "b.test", answers: [] }));
});

test("words that a table names stand below the word that asked it; a class says where it was named", async () => {
  const explained = await explain({
    patch: {
      policy: {
        classes: { strangers: ["warn_if_reject reject_unlisted_recipient", "reject_non_fqdn_sender"] },
        rcpt: [["check_client_access", { "192.0.2.1": "strangers" }], "strangers"],
      },
    },
    ask: { to: ["nobody@example.test"], from: "a@bare" },
  });
  const [access, unlisted, fqdn] = words(explained, "rcpt");
  expect(access).toMatchObject({
    answer: "reject",
    tables: [{ key: "unknown" }, { key: "192.0.2.1", result: "found", value: "strangers" }],
    words: [
      { path: "policy.classes.strangers[0]", word: "reject_unlisted_recipient", warn: true, answer: "reject" },
      {
        path: "policy.classes.strangers[1]",
        answer: "reject",
        reason: expect.stringMatching(/^504 5\.5\.2 /) as string,
      },
    ],
  });
  expect([unlisted, fqdn]).toMatchObject([
    { via: ["policy.rcpt[1]"], path: "policy.classes.strangers[0]", answer: "not reached" },
    { via: ["policy.rcpt[1]"], path: "policy.classes.strangers[1]", answer: "not reached" },
  ]);
});

test("what the log would say is told", async () => {
  const explained = await explain({
    patch: rcpt("warn_if_reject reject_unlisted_recipient", "reject"),
    ask: { to: ["nobody@example.test"] },
  });
  expect(explained.notes).toEqual([expect.stringMatching(/^reject_warning: 550 5\.1\.1 /)]);
});

test("a tap that changes a route is told, when there is a message", async () => {
  const explained = await explain({
    patch: { domains: { relay: ["example.test"] } },
    instances,
    ask: { to: ["tapped@example.test", "user@example.test"], message: "Subject: x\n\n" },
  });
  expect(explained.routes.map(({ route, why }) => [route?.nextHop, why])).toEqual([
    ["[10.0.0.9]", "a tap of delivery.route, in place of smtp [127.0.0.1]:2526"],
    ["[127.0.0.1]:2526", "class relay; relayhost"],
  ]);
});

test("a scanner that talks to no service is asked without --live, others with it; who refused is told", async () => {
  const scanning = await instantiate(
    definePlugin({
      name: "scanning",
      apiVersion: 1,
      options: z.strictObject({}),
      setup(gateway) {
        const scanner = (name: string, asksService: boolean | undefined, text: string) =>
          gateway.scanner({
            name,
            description: "For a test.",
            onError: "defer",
            ...(asksService !== undefined && { asksService }),
            scan: ({ message }) => (message.headers.get("Subject")?.value === text ? defer(text) : undefined),
          });
        scanner("far", undefined, "far");
        scanner("here", false, "here");
      },
    }),
  );
  const asking = async (subject: string, live: boolean) => {
    const message = Buffer.from(`Subject: ${subject}\r\n\r\nx\r\n`);
    const explained = await explain({ instances: [scanning], live, ask: { message } });
    return [explained.verdict, ...words(explained, "scanners").map(({ word, answer }) => `${word} ${answer}`)];
  };
  expect(await asking("here", false)).toEqual(["deferred", "far not asked", "here defer"]);
  expect(await asking("far", false)).toEqual(["accepted", "far not asked", "here none"]);
  expect(await asking("far", true)).toEqual(["deferred", "far defer", "here none"]);
});
