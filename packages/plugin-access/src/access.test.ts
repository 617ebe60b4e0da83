// check_*_access: search orders, results and whom they name. Codes and texts are Postfix 3.7's.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sampleMessage, sampleRecipient, sampleTransaction, type SessionSample } from "@postern/testkit";
import { afterAll, describe, expect, test } from "vitest";
import { ask, askRcpt, questionOf, setUp, type Asked } from "./session.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-access-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const networks: SessionSample = { client: { inNetworks: true, address: "127.0.0.1", name: "localhost" } };
const denied = (subject: string) => `554 5.7.1 ${subject} rejected: Access denied`;
const client = "<client.example.net[192.0.2.1]>: Client host";

describe("results", () => {
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
    [
      "reverse_client_hostname",
      { "liar.example": "REJECT" },
      { session: { client: { name: "unknown", reverseName: "pc.liar.example" } } },
      denied("<pc.liar.example>: Unverified Client host"),
    ],
    [
      "reverse_client_hostname",
      { "192.0.2.1": "DEFER", "client.example.net": "DUNNO" },
      { session: { client: { reverseName: "unknown" } } },
      "450 4.7.1 <unknown>: Unverified Client host rejected: Access denied",
    ],
    ["helo", { "example.net": "REJECT liar" }, {}, "554 5.7.1 <client.example.net>: Helo command rejected: liar"],
    ["helo", { "example.net": "REJECT" }, { session: { helo: undefined } }, "ok"],
    ["sender", { "<>": "REJECT" }, { sender: "" }, denied("<>: Sender address")],
    ["sender", { "sender@": "REJECT 5.1.1 x" }, {}, "554 5.1.7 <sender@example.net>: Sender address rejected: x"],
    ["sender", { "example.net": "12345" }, {}, "ok"],
    [
      "recipient",
      { "known@listed.example": "REJECT 5.1.7 x" },
      {},
      "554 5.1.3 <known@listed.example>: Recipient address rejected: x",
    ],
    ["recipient", { "listed.example": "DUNNO", example: "REJECT" }, {}, "ok"],
    ["recipient", { "known@": "OK", example: "REJECT" }, {}, denied("<known@listed.example>: Recipient address")],
    [
      "sasl",
      { bob: "REJECT locked" },
      { session: { auth: { identity: "bob", mechanism: "PLAIN" } } },
      "554 5.7.1 <bob>: SASL login name rejected: locked",
    ],
    ["sasl", { bob: "REJECT" }, {}, "ok"],
    ["recipient", { example: "permit_mynetworks, reject" }, { session: networks }, "ok"],
    ["recipient", { example: "permit_mynetworks, reject" }, {}, denied("<known@listed.example>: Recipient address")],
    // Words that a table names are about whom the table was asked about.
    ["client", { net: "permit_mynetworks, reject" }, {}, denied(client)],
    ["sender", { net: "strict" }, {}, "450 4.3.2 <sender@example.net>: Sender address rejected: Try again later"],
    [
      "client",
      { net: "permit_mynetworks, defer_if_permit" },
      {},
      `450 4.7.0 ${client} rejected: defer_if_permit requested`,
    ],
    [
      "client",
      { net: "reject_non_fqdn_recipient, reject" },
      { recipient: "a@host" },
      "504 5.5.2 <a@host>: Recipient address rejected: need fully-qualified address",
    ],
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
    const rcpt = ["check_recipient_access", { "list@listed.example": "REJECT" }] as const;
    const asked = { recipient: "list+x@listed.example" };
    expect(await askRcpt(rcpt, asked, { recipientDelimiter: "+" })).toMatch(/^554 /);
    expect(await askRcpt(rcpt, asked)).toMatch(/^550 5\.1\.1 /);
  });

  test("an OK for a recipient with a second destination inside is none, a refusal is one", async () => {
    const rcpt = (result: string) => [["check_recipient_access", { "ours.example": result }] as const, "reject"];
    const refused = /^554 5\.7\.1 <a%b@ours\.example>: Recipient address rejected: /;
    const asked = { recipient: "a%b@ours.example" };
    for (const result of ["OK", "permit", "REJECT"]) {
      expect(await ask({ lists: { relay: [], rcpt: rcpt(result) } }, asked)).toMatch(refused);
    }
    expect(await ask({ lists: { relay: [], rcpt: rcpt("OK") } }, { recipient: "a@ours.example" })).toBe("ok");
  });

  test("warn_if_reject before a table softens each of the words that it names", async () => {
    const { policy, notes } = await setUp({
      lists: { relay: [], rcpt: [["warn_if_reject", "check_client_access", { net: "reject, permit" }], "defer"] },
    });
    expect(await policy.start().ask("rcpt", questionOf({}))).toBeUndefined();
    expect(notes).toEqual([`reject_warning: ${denied(client)}`]);
  });
});

describe("mistakes", () => {
  test.for<[value: string, message: RegExp | undefined]>([
    ["REJECTT", /, key "[^"]+": unknown word "REJECTT"; did you mean "reject"\?$/],
    ["DUNO", /unknown word "DUNO"; did you mean "DUNNO"\?$/],
    ["550", /"550" needs a text behind it/],
    ["250 fine", /neither 4NN nor 5NN/],
    ["HOLD", undefined],
    ["HOLD for review", undefined],
    ["STRIP", /STRIP is no action of an access table$/],
    ["HANGUP", /HANGUP is no action of an access table$/],
    ["FILTER smtp:[127.0.0.1]:10025", undefined],
    ["FILTER", /FILTER needs transport:destination/],
    ["FILTER smtp", /FILTER needs transport:destination/],
    ["REDIRECT postmaster@here.example", undefined],
    ["REDIRECT postmaster", /REDIRECT needs an address/],
    ["BCC", /BCC needs an address/],
    ["BCC two@here.example, three@here.example", /BCC needs an address/],
    ["PREPEND oops", /PREPEND needs a header/],
    ["check_client_access texthash:x", /"texthash:x": a table's value names words or classes, not tables$/],
    ["texthash:x", /names words or classes, not tables/],
    ["OK # not a comment", undefined],
  ])("a wrong value is named with file and line: %s", async ([value, message]) => {
    writeFileSync(join(folder, "clients"), `# clients\n\n192.0.2.1 OK\n192.0.2.9\n  ${value}\n`);
    const set = setUp({ lists: { connect: ["check_client_access texthash:./clients"] } }, { directory: folder });
    if (message === undefined) {
      await expect(set).resolves.toBeDefined();
    } else {
      await expect(set).rejects.toThrow(message);
      await expect(set).rejects.toThrow(
        `policy.connect[0]: check_client_access: ${folder}/clients, line 4, key "192.0.2.9": `,
      );
    }
  });

  test("an OK where strangers choose what is looked up", async () => {
    const words = ["reverse_client_hostname", ...["client", "helo", "sender", "recipient"].map((name) => `${name}_mx`)];
    for (const word of words) {
      for (const value of ["OK", "RELAY", "123"]) {
        const rcpt = [[`check_${word}_access`, { "a.example": value }] as const];
        await expect(setUp({ lists: { rcpt } })).rejects.toThrow(
          `check_${word}_access: table inline:{a.example}, key "a.example": OK is not taken here`,
        );
      }
      const rcpt = [[`check_${word}_access`, { "a.example": "DISCARD" }] as const];
      await expect(setUp({ lists: { rcpt } })).resolves.toBeDefined();
    }
  });

  test("words that permit there are seen when they do", async () => {
    const rcpt = [["check_reverse_client_hostname_access", { net: "permit_mynetworks" }] as const, "defer"];
    const { policy, notes } = await setUp({ lists: { relay: [], rcpt } });
    expect(await policy.start().ask("rcpt", questionOf({}))).toMatchObject({ reply: { code: 450 } });
    const session: SessionSample = { client: { inNetworks: true } };
    expect(await policy.start().ask("rcpt", questionOf({ session }))).toMatchObject({
      reply: { code: 451, enhanced: "4.3.5", text: "Server configuration error" },
    });
    expect(notes).toEqual([expect.stringMatching(/^<client\.example\.net>: OK is not taken here/)]);
  });

  test("a class that asks a table that names the class is refused, not followed", async () => {
    const classes = { round: ["check_client_access inline:{ 192.0.2.1=round }"] };
    await expect(setUp({ lists: { rcpt: ["round"] }, classes })).rejects.toThrow(
      /class "round" contains itself: round → round$/,
    );
  });
});

describe("effects", () => {
  test("headers, notes and discards come out beside the answer", async () => {
    const { policy, notes } = await setUp({
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
    // Delayed lists are asked for every recipient.
    expect(notes).toEqual(["warn: odd sender", "warn: odd sender"]);
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

  test("what one recipient's lists want is done to the whole message, each thing once", async () => {
    const table = {
      "known@": "HOLD suspicious",
      "list@": "FILTER smtp:[127.0.0.1]:10025",
      "listed.example": "BCC archive@here.example",
    };
    const { policy } = await setUp({
      lists: {
        mail: [["check_sender_access", { net: "REDIRECT Trap@HERE.example" }]],
        rcpt: [
          ["check_recipient_access", { ...table, "listed.example": "DUNNO" }],
          ["check_recipient_access", { "listed.example": table["listed.example"] }],
          [
            "check_recipient_access",
            { "known@listed.example": table["known@"], "list@listed.example": table["list@"] },
          ],
        ],
        data: [["check_client_access", { net: "HOLD" }]],
      },
    });
    const judge = policy.start();
    const recipients = ["known@listed.example", "list@listed.example"].map((address) => sampleRecipient(address));
    for (const { address } of recipients) {
      expect(await judge.ask("rcpt", questionOf({ recipient: address }))).toBeUndefined();
    }
    const { session } = questionOf({});
    const transaction = sampleTransaction({ recipients });
    expect(await judge.ask("data", { session, transaction })).toBeUndefined();
    const ruling = await judge.judge({ session, transaction, message: sampleMessage() }, undefined);
    expect(ruling.effects).toEqual([
      { kind: "hold", text: "suspicious" },
      { kind: "redirect", address: "Trap@here.example" },
      { kind: "bcc", address: "archive@here.example" },
      { kind: "filter", destination: "smtp:[127.0.0.1]:10025" },
      { kind: "hold" },
    ]);
  });
});
