// The words against sessions, through the language: what the client hears.
import {
  compilePolicy,
  createAddressBook,
  createGuard,
  createTableRegistry,
  createVocabulary,
  formatReply,
  knownWords,
  systemClock,
  type PolicyConfig,
  type PolicyQuestion,
} from "@postern/core";
import { sampleMessage, sampleRecipient, sampleSession, sampleTransaction, type SessionSample } from "@postern/testkit";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { registerWords } from "./words.ts";

const owner = { name: "access", onError: "defer", deadlineMs: 1000 } as const;
const folder = mkdtempSync(join(tmpdir(), "postern-access-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function setup(config: PolicyConfig, recipientDelimiter = "") {
  const guard = createGuard(systemClock, () => {});
  const notes: string[] = [];
  const tables = createTableRegistry({
    directory: folder,
    clock: systemClock,
    guard,
    warn: (text) => notes.push(text),
  });
  const vocabulary = createVocabulary();
  registerWords({ restriction: (word) => vocabulary.register(word, owner) });
  const openTable: typeof tables.open = (spec) => tables.open(spec);
  const addresses = await createAddressBook(
    {
      relay: { domains: ["ours.example"] },
      virtualMailbox: { domains: ["listed.example"], recipients: ["known@listed.example", "list@listed.example"] },
      virtualAlias: { domains: ["alias.example"] },
    },
    { recipientDelimiter, openTable },
  );
  const note = ({ text }: { text: string }) => notes.push(text);
  const policy = await compilePolicy(config, vocabulary, { clock: systemClock, guard, addresses, openTable, note });
  return { policy, notes, vocabulary };
}

interface Asked {
  readonly session?: SessionSample;
  readonly sender?: string;
  readonly recipient?: string;
  readonly original?: string;
}

function questionOf({ session, sender, recipient = "known@listed.example", original }: Asked): PolicyQuestion {
  return {
    session: sampleSession(session),
    transaction: sampleTransaction(sender === undefined ? {} : { sender }),
    recipient: sampleRecipient(recipient, original === undefined ? {} : { original }),
  };
}

async function ask(config: PolicyConfig, asked: Asked, recipientDelimiter?: string): Promise<string> {
  const { policy } = await setup(config, recipientDelimiter);
  const objection = await policy.start().ask("rcpt", questionOf(asked));
  return objection === undefined ? "ok" : formatReply(objection.reply);
}

const networks: SessionSample = { client: { inNetworks: true, address: "127.0.0.1", name: "localhost" } };

describe("words", () => {
  test.for<[list: string, asked: Asked, reply: string]>([
    ["permit_mynetworks, reject", { session: networks }, "ok"],
    ["permit_mynetworks, reject", {}, "554 5.7.1 <known@listed.example>: Recipient address rejected: Access denied"],
    [
      "permit_sasl_authenticated, defer",
      {},
      "450 4.3.2 <known@listed.example>: Recipient address rejected: Try again later",
    ],
    ["permit, reject", {}, "ok"],
    ["reject_unauth_destination", { recipient: "a@other.example" }, "554 5.7.1 <a@other.example>: Relay access denied"],
    ["reject_unauth_destination", { recipient: "a@ours.example" }, "ok"],
    [
      "reject_unauth_destination",
      { recipient: "a%other.example@ours.example" },
      "554 5.7.1 <a%other.example@ours.example>: Relay access denied",
    ],
    [
      "reject_unauth_destination",
      { recipient: "b@ours.example", original: "@ours.example:b@ours.example" },
      "554 5.7.1 <b@ours.example>: Relay access denied",
    ],
    [
      "reject_unlisted_recipient",
      { recipient: "who@listed.example" },
      "550 5.1.1 <who@listed.example>: Recipient address rejected: User unknown in virtual mailbox table",
    ],
    [
      "reject_unlisted_recipient",
      { recipient: "who@alias.example" },
      "550 5.1.1 <who@alias.example>: Recipient address rejected: User unknown in virtual alias table",
    ],
    ["reject_unlisted_recipient", { recipient: "KNOWN@listed.example" }, "ok"],
    [
      "reject_non_fqdn_sender",
      { sender: "a@host" },
      "504 5.5.2 <a@host>: Sender address rejected: need fully-qualified address",
    ],
    ["reject_non_fqdn_sender", { sender: "" }, "ok"],
    ["reject_non_fqdn_sender", { sender: "a@[192.0.2.1]" }, "ok"],
    ["reject_non_fqdn_sender", { sender: "a@münchen.example" }, "ok"],
    [
      "reject_non_fqdn_recipient",
      { recipient: "a@host" },
      "504 5.5.2 <a@host>: Recipient address rejected: need fully-qualified address",
    ],
    ["reject_non_fqdn_recipient", { recipient: "postmaster" }, "ok"],
    [
      "reject_non_fqdn_helo_hostname",
      { session: { helo: { verb: "EHLO", name: "pc" } } },
      "504 5.5.2 <pc>: Helo command rejected: need fully-qualified hostname",
    ],
    [
      "reject_non_fqdn_helo_hostname",
      { session: { helo: { verb: "EHLO", name: "192.0.2.1" } } },
      "504 5.5.2 <192.0.2.1>: Helo command rejected: need fully-qualified hostname",
    ],
    ["reject_non_fqdn_helo_hostname", { session: { helo: { verb: "EHLO", name: "[192.0.2.1]" } } }, "ok"],
    [
      "reject_non_fqdn_helo_hostname",
      { session: { helo: { verb: "EHLO", name: "[192.0.2.999]" } } },
      "501 5.5.2 <[192.0.2.999]>: Helo command rejected: invalid ip address",
    ],
    ["reject_non_fqdn_helo_hostname", { session: { helo: undefined } }, "ok"],
  ])("%s: %o", async ([list, asked, reply]) => {
    expect(await ask({ lists: { relay: [], rcpt: [list] } }, asked)).toBe(reply);
  });

  test("core knows them by name, so that a config without the plugin hears of it", async () => {
    const { vocabulary } = await setup({ lists: {} });
    const taught = vocabulary.words().filter(({ plugin }) => plugin === "access");
    expect(taught.map(({ name }) => name).sort()).toEqual([...(knownWords["@postern/plugin-access"] ?? [])].sort());
    expect(Object.fromEntries(taught.map(({ name, authorizes }) => [name, authorizes.join(" ")]))).toEqual({
      ...Object.fromEntries(taught.map(({ name }) => [name, ""])),
      permit_mynetworks: "relay rcpt",
      permit_sasl_authenticated: "relay rcpt",
      check_client_access: "relay",
    });
  });
});

describe("access tables", () => {
  const denied = (subject: string) => `554 5.7.1 ${subject} rejected: Access denied`;
  const client = "<client.example.net[192.0.2.1]>: Client host";
  test.for<[word: string, table: Record<string, string>, asked: Asked, reply: string]>([
    ["client", { "client.example.net": "REJECT" }, {}, denied(client)],
    ["client", { "EXAMPLE.net": "REJECT" }, {}, denied(client)],
    ["client", { ".example.net": "REJECT" }, {}, "ok"],
    ["client", { "192.0.2": "REJECT" }, {}, denied(client)],
    ["client", { "192.0.2": "REJECT", net: "DUNNO" }, {}, "ok"],
    ["client", { "192.0": "521 Go away" }, {}, `521 5.7.1 ${client} rejected: Go away`],
    ["client", { "192": "450 4.2.2 Later" }, {}, `450 4.2.2 ${client} rejected: Later`],
    ["client", { "192": "reject 5.1.1 No such" }, {}, `554 5.0.0 ${client} rejected: No such`],
    [
      "client",
      { "2001:db8": "REJECT" },
      { session: { client: { address: "2001:db8::1", name: "unknown" } } },
      denied("<unknown[2001:db8::1]>: Client host"),
    ],
    [
      "client",
      { unknown: "DEFER" },
      { session: { client: { address: undefined, name: "unknown" } } },
      "450 4.7.1 <unknown[unknown]>: Client host rejected: Access denied",
    ],
    ["helo", { "example.net": "REJECT liar" }, {}, "554 5.7.1 <client.example.net>: Helo command rejected: liar"],
    ["helo", { "example.net": "REJECT" }, { session: { helo: undefined } }, "ok"],
    ["sender", { "<>": "REJECT" }, { sender: "" }, denied("<>: Sender address")],
    ["sender", { "sender@": "REJECT 5.1.1 x" }, {}, "554 5.1.0 <sender@example.net>: Sender address rejected: x"],
    ["sender", { "example.net": "12345" }, {}, "ok"],
    [
      "recipient",
      { "known@listed.example": "REJECT 5.1.7 x" },
      {},
      "554 5.1.3 <known@listed.example>: Recipient address rejected: x",
    ],
    ["recipient", { "listed.example": "DUNNO", example: "REJECT" }, {}, "ok"],
    ["recipient", { "known@": "OK", example: "REJECT" }, {}, denied("<known@listed.example>: Recipient address")],
    ["recipient", { example: "permit_mynetworks, reject" }, { session: networks }, "ok"],
    ["recipient", { example: "permit_mynetworks, reject" }, {}, denied("<known@listed.example>: Recipient address")],
    [
      "recipient",
      { example: "strict" },
      {},
      "450 4.3.2 <known@listed.example>: Recipient address rejected: Try again later",
    ],
    [
      "recipient",
      { example: "DEFER_IF_PERMIT 4.2.1 busy" },
      {},
      "450 4.2.1 <known@listed.example>: Recipient address rejected: busy",
    ],
  ])("check_%s_access %o: %o", async ([word, table, asked, reply]) => {
    const rcpt = [[`check_${word}_access`, table] as const];
    expect(await ask({ lists: { relay: [], rcpt }, classes: { strict: ["defer"] } }, asked)).toBe(reply);
  });

  test("a recipient's extension", async () => {
    const rcpt = [["check_recipient_access", { "list@listed.example": "REJECT" }] as const];
    const asked = { recipient: "list+x@listed.example" };
    expect(await ask({ lists: { relay: [], rcpt } }, asked, "+")).toMatch(/^554 /);
    expect(await ask({ lists: { relay: [], rcpt } }, asked)).toMatch(/^550 5\.1\.1 /);
  });

  test.for<[value: string, message: RegExp]>([
    ["REJECTT", /unknown word "REJECTT"; did you mean "reject"\?$/],
    ["550", /"550" needs a text behind it/],
    ["250 fine", /neither 4NN nor 5NN/],
    ["HOLD", /action HOLD is not available in this version of Postern$/],
    ["FILTER smtp:[127.0.0.1]", /action FILTER is not available/],
    ["PREPEND oops", /PREPEND needs a header/],
    ["check_client_access texthash:x", /"texthash:x": a table's value names words or classes, not tables$/],
    ["texthash:x", /names words or classes, not tables/],
    ["OK # not a comment", undefined as never],
  ])("a wrong value is named with file and line: %s", async ([value, message]) => {
    writeFileSync(join(folder, "clients"), `# clients\n\n192.0.2.1 OK\n192.0.2.9\n  ${value}\n`);
    const set = setup({ lists: { connect: ["check_client_access texthash:./clients"] } });
    if (message === undefined) {
      await expect(set).resolves.toBeDefined();
    } else {
      await expect(set).rejects.toThrow(message);
      await expect(set).rejects.toThrow(
        `policy.connect[0]: check_client_access: ${folder}/clients, line 4, key "192.0.2.9": `,
      );
    }
  });

  test("a class that asks a table that names the class is refused, not followed", async () => {
    const classes = { round: ["check_client_access inline:{ 192.0.2.1=round }"] };
    await expect(setup({ lists: { rcpt: ["round"] }, classes })).rejects.toThrow(
      /class "round" contains itself: round → round$/,
    );
  });

  test("headers, notes and discards come out beside the answer", async () => {
    const { policy, notes } = await setup({
      lists: {
        connect: [["check_client_access", { "192.0.2.1": "PREPEND X-Client: seen", net: "DUNNO" }]],
        helo: [["check_helo_access", { net: "PREPEND X-Helo: seen" }]],
        mail: [["check_sender_access", { net: "WARN odd sender" }]],
        rcpt: [["check_recipient_access", { "list@listed.example": "DISCARD silly", example: "PREPEND X-Rcpt: seen" }]],
      },
    });
    const judge = policy.start();
    const question = questionOf({});
    expect(await judge.ask("rcpt", question)).toBeUndefined();
    expect(await judge.ask("rcpt", questionOf({ recipient: "list@listed.example" }))).toBeUndefined();
    expect(notes).toEqual(["warn: odd sender"]);
    const recipients = [sampleRecipient("known@listed.example")];
    const ruling = await judge.judge(
      { session: question.session, transaction: sampleTransaction({ recipients }), message: sampleMessage() },
      undefined,
    );
    expect(ruling).toMatchObject({ objection: undefined, recipients });
    expect(ruling.effects).toEqual([
      { kind: "prepend", name: "X-Helo", value: "seen" },
      { kind: "prepend", name: "X-Rcpt", value: "seen" },
    ]);
  });
});
