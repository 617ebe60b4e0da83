// The words that ask neither tables nor DNS, against sessions: what the client hears. Codes and texts are Postfix 3.7's.
import { isPromise, knownWords } from "@postern/core";
import { createFakeClock, type SessionSample } from "@postern/testkit";
import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";
import { ask, askRcpt, questionOf, setUp, type Asked } from "./session.fixture.ts";

const networks: SessionSample = { client: { inNetworks: true, address: "127.0.0.1", name: "localhost" } };
const helo = (name: string): Asked => ({ session: { helo: { verb: "EHLO", name } } });
const loggedIn = (identity: string): SessionSample => ({ auth: { identity, mechanism: "PLAIN" } });

test.for<[list: string, asked: Asked, reply: string]>([
  ["permit_mynetworks, reject", { session: networks }, "ok"],
  ["permit_mynetworks, reject", {}, "554 5.7.1 <known@listed.example>: Recipient address rejected: Access denied"],
  [
    "permit_sasl_authenticated, defer",
    {},
    "450 4.3.2 <known@listed.example>: Recipient address rejected: Try again later",
  ],
  ["permit_sasl_authenticated, defer", { session: loggedIn("bob") }, "ok"],
  ["permit, reject", {}, "ok"],
  ["permit_inet_interfaces, reject", { session: { client: { address: ownAddress() } } }, "ok"],
  [
    "permit_inet_interfaces, defer",
    {},
    "450 4.3.2 <known@listed.example>: Recipient address rejected: Try again later",
  ],

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
  ["defer_unauth_destination", { recipient: "a@other.example" }, "454 4.7.1 <a@other.example>: Relay access denied"],
  ["defer_unauth_destination", { recipient: "a@ours.example" }, "ok"],
  ["permit_auth_destination, reject", { recipient: "a@ours.example" }, "ok"],
  ["permit_mx_backup, reject", { recipient: "a@ours.example" }, "ok"],
  ...["permit_auth_destination", "permit_mx_backup"].flatMap((word): [string, Asked, string][] => [
    [
      `${word}, defer`,
      { recipient: "a@other.example" },
      "450 4.3.2 <a@other.example>: Recipient address rejected: Try again later",
    ],
    [
      `${word}, defer`,
      { recipient: "a!b@ours.example" },
      "450 4.3.2 <a!b@ours.example>: Recipient address rejected: Try again later",
    ],
    // What it permits is ours, and it authorises nothing.
    [word, { recipient: "a@other.example" }, "554 5.7.1 <a@other.example>: Relay access denied"],
  ]),

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
    "reject_unlisted_sender",
    { sender: "who@listed.example" },
    "550 5.1.0 <who@listed.example>: Sender address rejected: User unknown in virtual mailbox table",
  ],
  [
    "reject_unlisted_sender",
    { sender: "who@here.example" },
    "550 5.1.0 <who@here.example>: Sender address rejected: User unknown in local recipient table",
  ],
  ["reject_unlisted_sender", { sender: "known@listed.example" }, "ok"],
  ["reject_unlisted_sender", { sender: "who@other.example" }, "ok"],
  ["reject_unlisted_sender", { sender: "" }, "ok"],

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
  ["reject_non_fqdn_helo_hostname", helo("pc"), "504 5.5.2 <pc>: Helo command rejected: need fully-qualified hostname"],
  ["reject_non_fqdn_hostname", helo("pc"), "504 5.5.2 <pc>: Helo command rejected: need fully-qualified hostname"],
  [
    "reject_non_fqdn_helo_hostname",
    helo("192.0.2.1"),
    "504 5.5.2 <192.0.2.1>: Helo command rejected: need fully-qualified hostname",
  ],
  ["reject_non_fqdn_helo_hostname", helo("[192.0.2.1]"), "ok"],
  [
    "reject_non_fqdn_helo_hostname",
    helo("[192.0.2.999]"),
    "501 5.5.2 <[192.0.2.999]>: Helo command rejected: invalid ip address",
  ],
  ["reject_non_fqdn_helo_hostname", { session: { helo: undefined } }, "ok"],
  ["reject_invalid_helo_hostname", helo("a..b"), "501 5.5.2 <a..b>: Helo command rejected: Invalid name"],
  ["reject_invalid_hostname", helo("-a"), "501 5.5.2 <-a>: Helo command rejected: Invalid name"],
  ["reject_invalid_helo_hostname", helo("[x]"), "501 5.5.2 <[x]>: Helo command rejected: invalid ip address"],
  ["reject_invalid_helo_hostname", helo("pc"), "ok"],
  ["reject_invalid_helo_hostname", helo("pc.example."), "ok"],
  ["reject_invalid_helo_hostname", helo("192.0.2.1"), "ok"],
  ["reject_invalid_helo_hostname", helo("123"), "501 5.5.2 <123>: Helo command rejected: Invalid name"],

  [
    "reject_unknown_client_hostname",
    { session: { client: { name: "unknown", nameStatus: "permanent" } } },
    "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]",
  ],
  [
    "reject_unknown_client",
    { session: { client: { name: "unknown", nameStatus: "temporary", address: undefined } } },
    "450 4.7.25 Client host rejected: cannot find your hostname, [unknown]",
  ],
  ["reject_unknown_client_hostname", {}, "ok"],
  [
    "reject_unknown_reverse_client_hostname",
    { session: { client: { name: "unknown", nameStatus: "permanent" } } },
    "ok",
  ],
  [
    "reject_unknown_reverse_client_hostname",
    { session: { client: { name: "unknown", reverseName: "unknown", nameStatus: "temporary" } } },
    "450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]",
  ],

  [
    "reject_unauth_pipelining",
    { session: { pipelinedEarly: true } },
    "503 5.5.0 <known@listed.example>: Recipient address rejected: Improper use of SMTP command pipelining",
  ],
  ["reject_unauth_pipelining", {}, "ok"],
  [
    "reject_multi_recipient_bounce",
    { sender: "", recipients: ["list@listed.example"] },
    "550 5.5.3 <known@listed.example>: Recipient address rejected: Multi-recipient bounce",
  ],
  ["reject_multi_recipient_bounce", { sender: "" }, "ok"],
  ["reject_multi_recipient_bounce", { recipients: ["list@listed.example"] }, "ok"],
  ["reject_plaintext_session", {}, "450 4.7.1 Session encryption is required"],
  [
    "reject_plaintext_session",
    { session: { tls: { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", bits: 256, servername: undefined } } },
    "ok",
  ],
])("%s: %o", async ([list, asked, reply]) => {
  expect(await askRcpt(list, asked)).toBe(reply);
});

function ownAddress(): string {
  return Object.values(networkInterfaces()).flatMap((all) => all ?? [])[0]?.address ?? "127.0.0.1";
}

test("a delayed list names in its refusal whom it is about", async () => {
  const session: SessionSample = { pipelinedEarly: true };
  const text = "rejected: Improper use of SMTP command pipelining";
  for (const [stage, reply] of [
    ["connect", `503 5.5.0 <client.example.net[192.0.2.1]>: Client host ${text}`],
    ["helo", `503 5.5.0 <client.example.net>: Helo command ${text}`],
    ["mail", `503 5.5.0 <sender@example.net>: Sender address ${text}`],
    ["relay", `503 5.5.0 <known@listed.example>: Recipient address ${text}`],
  ] as const) {
    expect(await ask({ lists: { [stage]: ["reject_unauth_pipelining"] } }, { session })).toBe(reply);
  }
});

test("words of later stages work in lists that are asked at RCPT", async () => {
  const connect = ["reject_non_fqdn_sender, reject_unauth_destination"];
  expect(await ask({ lists: { connect } }, { recipient: "a@other.example" })).toBe(
    "554 5.7.1 <a@other.example>: Relay access denied",
  );
  await expect(setUp({ lists: { connect }, delayReject: false })).rejects.toThrow(
    /"reject_non_fqdn_sender" cannot stand in "connect", .*policy\.delayReject is false/,
  );
});

test("reject_multi_recipient_bounce in data asks about all recipients", async () => {
  const { policy } = await setUp({ lists: { data: ["reject_multi_recipient_bounce"] } });
  const about = (...recipients: string[]) => policy.start().ask("data", questionOf({ sender: "", recipients }));
  expect(about("a@ours.example")).toBeUndefined();
  expect(about("a@ours.example", "b@ours.example")).toMatchObject({
    reply: { code: 550, enhanced: "5.5.3", text: "<DATA>: Data command rejected: Multi-recipient bounce" },
  });
});

test("sleep waits by the clock, and not while explaining", async () => {
  const clock = createFakeClock();
  const { policy } = await setUp({ lists: { relay: [], rcpt: ["sleep 20, reject"] } }, { clock });
  expect(policy.start().ask("rcpt", { ...questionOf({}), dry: true })).toMatchObject({ kind: "reject" });
  let said: unknown;
  const answer = Promise.resolve(policy.start().ask("rcpt", questionOf({}))).then((objection) => (said = objection));
  clock.advance(19_999);
  await Promise.resolve();
  expect(said).toBeUndefined();
  clock.advance(1);
  expect(await answer).toMatchObject({ kind: "reject" });
  for (const [seconds, message] of [
    ["301", /argument 1/],
    ["soon", /argument 1: expected whole seconds, 300 at most$/],
    ["-1", /argument 1/],
  ] as const) {
    await expect(setUp({ lists: { rcpt: [`sleep ${seconds}`] } })).rejects.toThrow(message);
  }
});

describe("senderLogins", () => {
  const owned = { "bob@here.example": "bob, admin", "@shop.example": "shop", ann: "ann" };
  const notOwned = (sender: string, login: string) =>
    `553 5.7.1 <${sender}>: Sender address rejected: not owned by user ${login}`;
  const stranger = (sender: string) => `553 5.7.1 <${sender}>: Sender address rejected: not logged in`;
  test.for<[word: string, login: string | undefined, sender: string, reply: string]>([
    ["sender", "bob", "bob@here.example", "ok"],
    ["sender", "ADMIN", "bob+x@here.example", "ok"],
    ["sender", "ann", "bob@here.example", notOwned("bob@here.example", "ann")],
    ["sender", "ann", "ann@here.example", "ok"],
    ["sender", "ann", "ann@other.example", notOwned("ann@other.example", "ann")],
    ["sender", "shop", "any@shop.example", "ok"],
    ["sender", "bob", "free@other.example", notOwned("free@other.example", "bob")],
    ["sender", undefined, "bob@here.example", stranger("bob@here.example")],
    ["sender", undefined, "free@other.example", "ok"],
    ["sender", "ann", "", "ok"],
    ["authenticated_sender", "bob", "free@other.example", notOwned("free@other.example", "bob")],
    ["authenticated_sender", undefined, "bob@here.example", "ok"],
    ["unauthenticated_sender", "ann", "bob@here.example", "ok"],
    ["unauthenticated_sender", undefined, "x@shop.example", stranger("x@shop.example")],
    ["known_sender", "bob", "free@other.example", "ok"],
    ["known_sender", "ann", "bob@here.example", notOwned("bob@here.example", "ann")],
    ["known_sender", undefined, "bob@here.example", stranger("bob@here.example")],
  ])("reject_%s_login_mismatch, %s as %s: %s", async ([word, login, sender, reply]) => {
    const asked: Asked = { sender, ...(login === undefined ? {} : { session: loggedIn(login) }) };
    const setup = { options: { senderLogins: [{ nobody: "x" }, owned] }, recipientDelimiter: "+" };
    expect(await askRcpt(`reject_${word}_login_mismatch`, asked, setup)).toBe(reply);
  });

  test.each(["sender", "known_sender", "authenticated_sender", "unauthenticated_sender"])(
    "without tables reject_%s_login_mismatch is a mistake",
    async (word) => {
      const asked: Asked = { session: loggedIn("bob"), sender: "bob@here.example" };
      await expect(askRcpt(`reject_${word}_login_mismatch`, asked)).rejects.toThrow(
        /it needs the option "senderLogins" of @postern\/plugin-access/,
      );
    },
  );
});

describe("the vocabulary", () => {
  test("core knows the words by name, so that a config without the plugin hears of it", async () => {
    const { vocabulary } = await setUp({ lists: {} });
    const taught = vocabulary.words().filter(({ plugin }) => plugin === "access");
    expect(taught.map(({ name }) => name).sort()).toEqual([...(knownWords["@postern/plugin-access"] ?? [])].sort());
  });

  test("three words may let a client relay, and no other", async () => {
    const { vocabulary } = await setUp({ lists: {} });
    const may = vocabulary.words().filter(({ authorizes }) => authorizes.length > 0);
    expect(Object.fromEntries(may.map(({ name, authorizes }) => [name, authorizes.join(" ")]))).toEqual({
      permit_mynetworks: "relay rcpt",
      permit_sasl_authenticated: "relay rcpt",
      check_client_access: "relay",
    });
  });

  test("a list on local tables is asked without a promise", async () => {
    const table = { "nobody.example": "REJECT" };
    const rcpt = [
      "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination, reject_unauth_pipelining",
      "reject_invalid_helo_hostname, reject_non_fqdn_sender, reject_non_fqdn_recipient, reject_unlisted_recipient",
      ["check_client_access", table],
      ["check_helo_access", table],
      ["check_sender_access", table],
      ["check_recipient_access", table],
    ] as const;
    const { policy } = await setUp({ lists: { rcpt } });
    const answer = policy.start().ask("rcpt", questionOf({}));
    expect(isPromise(answer)).toBe(false);
    expect(answer).toBeUndefined();
  });
});
