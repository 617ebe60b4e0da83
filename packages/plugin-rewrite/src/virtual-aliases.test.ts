// Through a whole gateway: what is accepted, to whom it goes, and who is told.
import { definePlugin, TableUnavailable, type Config } from "@postern/core";
import { createTestGateway, smtp, type TestGateway } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import rewrite from "./index.ts";

const virtual = {
  "info@alias.test": "joe@box.test",
  "team@alias.test": "joe@box.test, ann@box.test, info@alias.test, remote@other.test",
  "@catch.test": "@box.test",
  "list@catch.test": "list@catch.test",
  "office@relay.test": "ann@box.test",
  "plus+known@alias.test": "known@box.test",
  "plus@alias.test": "joe@box.test",
  "xn--bcher-kva@alias.test": "joe@box.test",
  "root@box.test": "joe",
  webmaster: "ann@box.test",
};

const config: Partial<Config> = {
  networks: [],
  domains: {
    local: ["local.test"],
    virtualAlias: ["alias.test"],
    virtualMailbox: { domains: ["box.test"], recipients: ["joe@box.test", "ann@box.test"] },
    relay: { domains: ["relay.test", "catch.test"], recipients: ["known@relay.test"] },
  },
  recipientDelimiter: "+",
};

/** A table that answers later what it is told to. */
const late = (answer: (key: string) => string | undefined) =>
  definePlugin({
    name: "late",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      gateway.tables.register("late", (name) => ({
        type: "late",
        name,
        kind: "indexed",
        trusted: true,
        lookup: async (key) => answer(key),
        close: async () => undefined,
      }));
    },
  });

const aliasesFrom = (tables: unknown, options: object = {}): readonly [typeof rewrite, Record<string, unknown>] => [
  rewrite,
  { virtual: tables, ...options },
];

async function send(gateway: TestGateway, recipients: readonly string[], from = "s@source.test"): Promise<string[]> {
  const client = smtp(gateway);
  await client.say(`MAIL FROM:<${from}>`);
  const replies: string[] = [];
  for (const recipient of recipients) replies.push(await client.say(`RCPT TO:<${recipient}>`));
  if (replies.some((reply) => reply.startsWith("250"))) replies.push(await client.data("Subject: x\n\nx\n"));
  client.hangUp();
  return replies;
}

const tableKinds: readonly (readonly [name: string, tables: unknown])[] = [
  ["in memory", virtual],
  ["elsewhere", "late:x"],
  ["in two", [{ "nobody@alias.test": "joe@box.test" }, "late:x"]],
];

describe.for(tableKinds)("aliases %s", ([, tables]) => {
  const lookUp = (key: string): string | undefined => (virtual as Readonly<Record<string, string>>)[key];
  test.for<[recipient: string, delivered: readonly string[] | RegExp, options?: object]>([
    ["info@alias.test", ["joe@box.test"]],
    ["INFO@Alias.test", ["joe@box.test"]],
    ["team@alias.test", ["ann@box.test", "joe@box.test", "remote@other.test"]],
    ["who@alias.test", /^550 5\.1\.1 .*User unknown in virtual alias table/],
    ["ann@catch.test", ["ann@box.test"]],
    ["ann+x@catch.test", ["ann+x@box.test"]],
    ["list@catch.test", ["list@catch.test"]],
    ["office@relay.test", ["ann@box.test"]],
    ["known@relay.test", ["known@relay.test"]],
    ["who@relay.test", /^550 5\.1\.1 .*User unknown in relay recipient table/],
    ["plus+x@alias.test", ["joe+x@box.test"]],
    ["plus+x@alias.test", ["joe@box.test"], { propagateExtensions: ["canonical"] }],
    ["plus+known@alias.test", ["known@box.test"]],
    ["webmaster@local.test", ["ann@box.test"]],
    ["webmaster@box.test", /^550 5\.1\.1 /],
    // A bare user gets the origin, our first domain with mailboxes.
    ["root@box.test", ["joe@local.test"]],
    ["postmaster", ["postmaster@local.test"]],
    ["victim@victim.test", /^554 5\.7\.1 /],
  ])("%s", async ([recipient, delivered, options]) => {
    await using gateway = await createTestGateway(config, { plugins: [late(lookUp), aliasesFrom(tables, options)] });
    const replies = await send(gateway, [recipient]);
    if (delivered instanceof RegExp) {
      expect(replies).toEqual([expect.stringMatching(delivered)]);
      return;
    }
    expect(replies.at(-1)).toMatch(/^250 2\.0\.0 /);
    const taken = await gateway.delivered(new Set(delivered.map((address) => address.split("@")[1])).size);
    expect(taken.flatMap(({ recipients }) => recipients).toSorted()).toEqual(delivered);
    // Whom the alias leads to is nobody's business but the log's.
    const [user, domain = ""] = recipient.split("@");
    expect(taken[0]?.content.toString()).toContain(`for <${user}${domain === "" ? "" : `@${domain.toLowerCase()}`}>`);
  });
});

test("a recipient whom two aliases name gets one mail", async () => {
  await using gateway = await createTestGateway(config, { plugins: [aliasesFrom(virtual)] });
  await send(gateway, ["info@alias.test", "plus@alias.test", "joe@box.test", "ann@box.test"]);
  const [mail] = await gateway.delivered(1);
  expect(mail?.recipients).toEqual(["joe@box.test", "ann@box.test"]);
});

describe("a table that is down", () => {
  const down = late((key) => {
    if (key === "info@alias.test") return "deep@alias.test";
    if (key === "who@alias.test") return undefined;
    throw new TableUnavailable("late:x", "secret.example is down");
  });
  test.for<[recipient: string, replies: readonly RegExp[]]>([
    ["x@alias.test", [/^451 4\.3\.0 Temporary lookup failure$/]],
    ["unlisted@relay.test", [/^451 4\.3\.0 Temporary lookup failure$/]],
    // Known at RCPT, expanded at the end.
    ["info@alias.test", [/^250 /, /^451 4\.3\.0 (?!.*secret)/]],
    ["known@relay.test", [/^250 /, /^451 4\.3\.0 (?!.*secret)/]],
    ["victim@victim.test", [/^554 5\.7\.1 /]],
  ])("%s", async ([recipient, replies]) => {
    await using gateway = await createTestGateway(config, { plugins: [down, aliasesFrom("late:x")] });
    expect(await send(gateway, [recipient])).toEqual(replies.map((reply) => expect.stringMatching(reply)));
    expect(gateway.runtime.status().queue.messages).toBe(0);
  });
});

test("who bounces is reported by the address that was written, to a sender who may be an alias", async () => {
  await using gateway = await createTestGateway(config, {
    plugins: [aliasesFrom(virtual)],
    deliver: ({ address }) =>
      address === "remote@other.test"
        ? { status: "bounced", enhanced: "5.1.1", text: "no such user" }
        : { status: "delivered", enhanced: "2.0.0", text: "kept" },
  });
  await send(gateway, ["team@alias.test"], "info@alias.test");
  const deliveries = await gateway.delivered(2);
  const report = deliveries.find(({ sender }) => sender === "");
  expect(report?.recipients).toEqual(["joe@box.test"]);
  const text = report?.content.toString() ?? "";
  expect(text).toMatch(/^To: <info@alias\.test>\r$/m);
  expect(text).toMatch(/^Original-Recipient: rfc822; ?team@alias\.test\r$/m);
  expect(text).toMatch(/^Final-Recipient: rfc822; ?remote@other\.test\r$/m);
});

test.for<[tables: unknown, message: string]>([
  [{ "a@alias.test": "joe@box.test", "b@alias.test": "joe@@box" }, 'key "b@alias.test": "joe@@box" is no address'],
  [5, "a list of tables"],
  ["nosuch:x", 'unknown table type "nosuch"'],
])("%j is a mistake", async ([tables, message]) => {
  await expect(createTestGateway(config, { plugins: [aliasesFrom(tables)] })).rejects.toThrow(message);
});

test("an extension of a quoted address goes to a whole domain's users as to others", async () => {
  const aliases = { "joe@catch.test": "@box.test" };
  await using gateway = await createTestGateway(
    { ...config, domains: { relay: ["catch.test", "box.test"] } },
    { plugins: [aliasesFrom(aliases)] },
  );
  expect((await send(gateway, ['"joe+a\\"b"@catch.test'])).at(-1)).toMatch(/^250 /);
  const [mail] = await gateway.delivered(1);
  expect(mail?.recipients).toEqual(['"joe+a\\"b"@box.test']);
});

describe("a list of a thousand, written to by many extensions", () => {
  const members = Array.from({ length: 1000 }, (_, at) => `u${at}@box.test`).join(", ");

  test.for<[extensions: number, reply: RegExp, mostAsked: number]>([
    [20, /^250 /, 20_000],
    // A hundred thousand are looked at, and no more.
    [130, /^451 4\.3\.0 /, 103_000],
  ])("%i of them", async ([extensions, reply, mostAsked]) => {
    const asked = new Set<string>();
    let turns = 0;
    let turnsAmong = 0;
    const count = (): void => {
      turns += 1;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    const inMemory = definePlugin({
      name: "counted",
      apiVersion: 1,
      options: z.strictObject({}),
      setup(gateway) {
        gateway.tables.register("counted", (name) => ({
          type: "counted",
          name,
          kind: "indexed",
          trusted: true,
          lookup(key) {
            if (key === "list@alias.test") return members;
            if (/^u\d+\+.*@box\.test$/.test(key)) {
              if (asked.size === 0) turns = 0;
              asked.add(key);
              turnsAmong = turns;
            }
            return undefined;
          },
          close: async () => undefined,
        }));
      },
    });
    const open = { ...config, domains: { virtualAlias: ["alias.test"], virtualMailbox: ["box.test"] } };
    await using gateway = await createTestGateway(open, { plugins: [inMemory, aliasesFrom("counted:x")] });
    const recipients = Array.from({ length: extensions }, (_, at) => `list+${at}@alias.test`);
    expect((await send(gateway, recipients)).at(-1)).toMatch(reply);
    clearImmediate(timer);
    expect(asked.size).toBeLessThanOrEqual(mostAsked);
    // Others have their turn in between.
    expect(turnsAmong).toBeGreaterThanOrEqual(extensions / 4);
  });
});

test("members of many lists are one recipient each, however many lists there are", async () => {
  const lists = Array.from({ length: 300 }, (_, at) => `list${at}@alias.test`);
  const members = Array.from({ length: 400 }, (_, at) => `u${at}@box.test`);
  const table = {
    ...Object.fromEntries(lists.map((list) => [list, "all@alias.test"])),
    "all@alias.test": members.join(),
  };
  const open = { ...config, domains: { virtualAlias: ["alias.test"], virtualMailbox: ["box.test"] } };
  await using gateway = await createTestGateway(open, { plugins: [[rewrite, { virtual: table }]] });
  expect((await send(gateway, lists)).at(-1)).toMatch(/^250 /);
  const told = new Set<string>();
  for (let count = 1; told.size < members.length; count += 1)
    for (const { recipients } of await gateway.delivered(count))
      for (const recipient of recipients) told.add(recipient);
  expect([...told].toSorted()).toEqual(members.toSorted());
});
