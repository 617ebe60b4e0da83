// Words that ask DNS, against records in memory. Codes and texts are Postfix 3.7's.
import { createStaticResolver, type Resolver } from "@postern/core";
import { createFakeClock, type SessionSample } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { parseAnswerFilter } from "./dns-list.ts";
import { ask, askRcpt, questionOf, setUp, type Asked } from "./session.fixture.ts";
import { parseTemplate } from "./template.ts";

const dns = createStaticResolver({
  "mx.example": { mx: [[10, "mail.mx.example"]] },
  "address.example": { a: ["192.0.2.10"] },
  "v6.example": { aaaa: ["2001:db8::10"] },
  "null.example": { mx: [[0, ""]] },
  "silent.example": { mx: "unavailable", a: "unavailable", aaaa: "unavailable" },
  "half.example": { mx: "unavailable" },
  "half-found.example": { mx: "unavailable", a: ["192.0.2.10"] },
  "mail.mx.example": { a: ["198.51.100.25"], aaaa: ["2001:db8::25"] },
  "org.example": { ns: ["ns1.host.example", "ns2.host.example"], a: ["192.0.2.80"] },
  "ns2.host.example": { a: ["203.0.113.53"] },
  "ns-silent.example": { ns: "unavailable" },
  // DNS lists.
  "1.2.0.192.bl.example": { a: ["127.0.0.4"], txt: ["see http://bl.example/", "or not"] },
  "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example": { a: ["127.0.0.2"] },
  "1.2.0.192.wl.example": { a: ["127.0.1.3"] },
  "1.2.0.192.other.example": { a: ["127.0.0.9"], txt: "unavailable" },
  "1.2.0.192.down.example": { a: "unavailable" },
  "spam.example.dbl.example": { a: ["127.0.1.2"], txt: ["a domain of spam"] },
  "client.example.net.dbl.example": { a: ["127.0.1.2"] },
  "xn--mnchen-3ya.example.dbl.example": { a: ["127.0.1.2"] },
});

const helo = (name: string): Asked => ({ session: { helo: { verb: "EHLO", name } } });

describe("unknown names", () => {
  const sender = (address: string) => `450 4.1.8 <${address}>: Sender address rejected: Domain not found`;
  test.for<[word: string, asked: Asked, reply: string]>([
    ["sender_domain", { sender: "a@mx.example" }, "ok"],
    ["sender_domain", { sender: "a@address.example" }, "ok"],
    ["sender_domain", { sender: "a@v6.example" }, "ok"],
    ["sender_domain", { sender: "a@half-found.example" }, "ok"],
    ["sender_domain", { sender: "" }, "ok"],
    ["sender_domain", { sender: "a@[192.0.2.1]" }, "ok"],
    // With users of ours, and without.
    ["sender_domain", { sender: "a@listed.example" }, "ok"],
    [
      "sender_domain",
      { sender: "a@ours.example" },
      "450 4.1.8 <a@ours.example>: Sender address rejected: Domain not found",
    ],
    ["sender_domain", { sender: "a@none.example" }, sender("a@none.example")],
    [
      "sender_domain",
      { sender: "a@null.example" },
      "550 5.7.27 <a@null.example>: Sender address rejected: Domain null.example does not accept mail (nullMX)",
    ],
    // Not answered: nobody knows. The end of the lists is a permit, which is deferred.
    ["sender_domain", { sender: "a@silent.example" }, sender("a@silent.example")],
    ["sender_domain", { sender: "a@half.example" }, sender("a@half.example")],
    [
      "recipient_domain",
      { recipient: "a@none.example" },
      "450 4.1.2 <a@none.example>: Recipient address rejected: Domain not found",
    ],
    [
      "recipient_domain",
      { recipient: "a@null.example" },
      "556 5.1.10 <a@null.example>: Recipient address rejected: Domain null.example does not accept mail (nullMX)",
    ],
    ["recipient_domain", { recipient: "known@listed.example" }, "ok"],
    ["helo_hostname", helo("mx.example"), "ok"],
    ["helo_hostname", helo("address.example"), "ok"],
    ["helo_hostname", helo("null.example"), "ok"],
    ["helo_hostname", helo("[192.0.2.1]"), "ok"],
    ["helo_hostname", helo("[192.0.2]"), "501 5.5.2 <[192.0.2]>: Helo command rejected: invalid ip address"],
    ["helo_hostname", helo("none.example"), "450 4.7.1 <none.example>: Helo command rejected: Host not found"],
    ["helo_hostname", helo("silent.example"), "450 4.7.1 <silent.example>: Helo command rejected: Host not found"],
    // No name at all, whatever DNS says of addresses.
    ["helo_hostname", helo("192.0.2.1"), "450 4.7.1 <192.0.2.1>: Helo command rejected: Host not found"],
    ["helo_hostname", { session: { helo: undefined } }, "ok"],
  ])("reject_unknown_%s %o: %s", async ([word, asked, reply]) => {
    expect(await askRcpt(`reject_unknown_${word}`, asked, { dns })).toBe(reply);
  });

  test("what could not be asked lets a later refusal stand; what is not there is refused at once", async () => {
    const list = "reject_unknown_sender_domain, reject_unknown_helo_hostname, reject";
    expect(await askRcpt(list, { sender: "a@silent.example" }, { dns })).toMatch(/^450 4\.7\.1 <client\.example\.net>/);
    expect(await askRcpt("reject_unknown_sender_domain, reject", { sender: "a@silent.example" }, { dns })).toMatch(
      /^554 /,
    );
    expect(await askRcpt("reject_unknown_sender_domain, reject", { sender: "a@none.example" }, { dns })).toMatch(
      /^450 4\.1\.8/,
    );
  });

  test.for<[client: SessionSample["client"], reply: string]>([
    [{}, "ok"],
    [{ name: "unknown", nameStatus: "permanent", reverseName: "address.example" }, "ok"],
    [
      { name: "unknown", nameStatus: "permanent", reverseName: "none.example" },
      "450 4.7.25 Client host rejected: cannot find an address of your reverse hostname, [192.0.2.1]",
    ],
    [
      { name: "unknown", nameStatus: "permanent", reverseName: "unknown" },
      "450 4.7.25 Client host rejected: cannot find an address of your reverse hostname, [192.0.2.1]",
    ],
  ])("reject_unknown_forward_client_hostname %o: %s", async ([client = {}, reply]) => {
    expect(await askRcpt("reject_unknown_forward_client_hostname", { session: { client } }, { dns })).toBe(reply);
  });

  test("a DNS that hangs has no answer in time", async () => {
    const clock = createFakeClock();
    const hanging = { ...dns, mx: () => new Promise<never>(() => {}) } as Resolver;
    const { policy } = await setUp(
      { lists: { relay: [], rcpt: ["reject_unknown_sender_domain"] } },
      { dns: hanging, clock },
    );
    const answer = policy.start().ask("rcpt", questionOf({ sender: "a@mx.example" }));
    for (let at = 0; at < 10; at += 1) {
      clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await answer).toMatchObject({ kind: "defer", reply: { code: 450, enhanced: "4.1.8" } });
  });
});

describe("servers of a domain", () => {
  const rejected = (subject: string) => `554 5.7.1 ${subject} rejected: Access denied`;
  test.for<[word: string, table: Record<string, string>, asked: Asked, reply: string]>([
    ["sender_mx", { "mx.example": "REJECT" }, { sender: "a@mx.example" }, rejected("<a@mx.example>: Sender address")],
    ["sender_mx", { "198.51.100": "REJECT" }, { sender: "a@mx.example" }, rejected("<a@mx.example>: Sender address")],
    [
      "sender_mx",
      { "2001:db8::25": "DEFER" },
      { sender: "a@mx.example" },
      "450 4.7.1 <a@mx.example>: Sender address rejected: Access denied",
    ],
    // The name of a server goes before its address, and DUNNO ends the search.
    ["sender_mx", { "198.51.100": "REJECT", "mail.mx.example": "DUNNO" }, { sender: "a@mx.example" }, "ok"],
    // Without MX a domain is its own.
    [
      "sender_mx",
      { "192.0.2.10": "REJECT" },
      { sender: "a@address.example" },
      rejected("<a@address.example>: Sender address"),
    ],
    ["sender_mx", { "192.0.2": "REJECT" }, { sender: "a@[192.0.2.9]" }, rejected("<a@[192.0.2.9]>: Sender address")],
    ["sender_mx", { "null.example": "REJECT" }, { sender: "a@null.example" }, "ok"],
    ["sender_mx", { "silent.example": "REJECT" }, { sender: "a@silent.example" }, "ok"],
    [
      "sender_mx",
      { "none.example": "REJECT" },
      { sender: "a@none.example" },
      rejected("<a@none.example>: Sender address"),
    ],
    ["sender_mx", { example: "REJECT" }, { sender: "" }, "ok"],
    [
      "recipient_mx",
      { example: "REJECT" },
      { recipient: "a@mx.example" },
      rejected("<a@mx.example>: Recipient address"),
    ],
    ["sender_a", { "address.example": "REJECT" }, { sender: "a@address.example" }, "ok"],
    [
      "sender_a",
      { "192.0.2.10": "REJECT" },
      { sender: "a@address.example" },
      rejected("<a@address.example>: Sender address"),
    ],
    ["helo_a", { "2001:db8": "REJECT" }, helo("v6.example"), rejected("<v6.example>: Helo command")],
    ["helo_mx", { "192.0.2.7": "REJECT" }, helo("192.0.2.7"), rejected("<192.0.2.7>: Helo command")],
    ["helo_ns", { "host.example": "REJECT" }, helo("[192.0.2.1]"), "ok"],
    // Name servers are those of the nearest zone above.
    ["helo_ns", { "host.example": "REJECT" }, helo("a.b.org.example"), rejected("<a.b.org.example>: Helo command")],
    ["helo_ns", { "203.0.113.53": "REJECT" }, helo("org.example"), rejected("<org.example>: Helo command")],
    ["helo_ns", { "host.example": "REJECT" }, helo("ns-silent.example"), "ok"],
    [
      "client_a",
      { "192.0.2.80": "REJECT" },
      { session: { client: { name: "org.example" } } },
      rejected("<org.example[192.0.2.1]>: Client host"),
    ],
    ["client_ns", { host: "REJECT" }, { session: { client: { name: "unknown" } } }, "ok"],
    [
      "reverse_client_hostname_ns",
      { "ns1.host.example": "REJECT" },
      { session: { client: { name: "unknown", reverseName: "org.example" } } },
      rejected("<org.example>: Unverified Client host"),
    ],
  ])("check_%s_access %o: %o", async ([word, table, asked, reply]) => {
    expect(await ask({ lists: { relay: [], rcpt: [[`check_${word}_access`, table]] } }, asked, { dns })).toBe(reply);
  });

  test("what DNS did not answer is in the log", async () => {
    const rcpt = [["check_sender_mx_access", { a: "REJECT" }] as const];
    const { policy, notes } = await setUp({ lists: { relay: [], rcpt } }, { dns });
    expect(await policy.start().ask("rcpt", questionOf({ sender: "a@silent.example" }))).toBeUndefined();
    expect(notes).toEqual(["Unable to look up MX host for silent.example"]);
  });
});

describe("DNS lists", () => {
  const blocked = (what: string, zone: string, reason = "", label = "Client host") =>
    `554 5.7.1 Service unavailable; ${label} [${what}] blocked using ${zone}${reason === "" ? "" : `; ${reason}`}`;
  const reasons = "see http://bl.example/ / or not";
  test.for<[list: string, asked: Asked, reply: string]>([
    ["reject_rbl_client bl.example", {}, blocked("192.0.2.1", "bl.example", reasons)],
    ["reject_rbl_client bl.example=127.0.0.[2..4;8]", {}, blocked("192.0.2.1", "bl.example", reasons)],
    ["reject_rbl_client bl.example=127.0.0.4", {}, blocked("192.0.2.1", "bl.example", reasons)],
    ["reject_rbl_client bl.example=127.0.0.[2..3;8]", {}, "ok"],
    ["reject_rbl_client none.example", {}, "ok"],
    ["reject_rbl_client other.example", {}, blocked("192.0.2.1", "other.example")],
    // A list that does not answer names nobody.
    ["reject_rbl_client down.example", {}, "ok"],
    ["reject_rbl_client bl.example", { session: { client: { address: undefined } } }, "ok"],
    [
      "reject_rbl_client bl.example",
      { session: { client: { address: "2001:db8::1" } } },
      blocked("2001:db8::1", "bl.example"),
    ],
    [
      "reject_rhsbl_sender dbl.example",
      { sender: "a@spam.example" },
      blocked("a@spam.example", "dbl.example", "a domain of spam", "Sender address"),
    ],
    ["reject_rhsbl_sender dbl.example", { sender: "a@good.example" }, "ok"],
    ["reject_rhsbl_sender dbl.example", { sender: "" }, "ok"],
    ["reject_rhsbl_sender dbl.example", { sender: "a@[192.0.2.1]" }, "ok"],
    ["reject_rhsbl_helo dbl.example", helo("192.0.2.1"), "ok"],
    [
      "reject_rhsbl_helo dbl.example",
      helo("spam.example"),
      blocked("spam.example", "dbl.example", "a domain of spam", "Helo command"),
    ],
    ["reject_rhsbl_client dbl.example", {}, blocked("client.example.net", "dbl.example")],
    ["reject_rhsbl_client dbl.example", { session: { client: { name: "unknown" } } }, "ok"],
    [
      "reject_rhsbl_reverse_client dbl.example",
      { session: { client: { name: "unknown", reverseName: "spam.example" } } },
      blocked("spam.example", "dbl.example", "a domain of spam", "Unverified Client host"),
    ],
    [
      "reject_rhsbl_recipient dbl.example",
      { recipient: "a@spam.example" },
      blocked("a@spam.example", "dbl.example", "a domain of spam", "Recipient address"),
    ],
    ["permit_dnswl_client wl.example, reject", {}, "ok"],
    ["permit_dnswl_client wl.example=127.0.[0..255].[2;3], reject", {}, "ok"],
    [
      "permit_dnswl_client wl.example=127.0.0.[0..255], defer",
      {},
      "450 4.3.2 <known@listed.example>: Recipient address rejected: Try again later",
    ],
    [
      "permit_dnswl_client down.example, reject",
      {},
      "450 4.7.1 <192.0.2.1>: Client host rejected: Service unavailable",
    ],
    ["permit_dnswl_client down.example", {}, "ok"],
    // For recipients of ours alone: it never stands before reject_unauth_destination.
    [
      "permit_dnswl_client wl.example, reject_unauth_destination",
      { recipient: "a@other.example" },
      "554 5.7.1 <a@other.example>: Relay access denied",
    ],
    [
      "permit_dnswl_client wl.example, defer_unauth_destination",
      { recipient: "a@other.example" },
      "454 4.7.1 <a@other.example>: Relay access denied",
    ],
    [
      "permit_rhswl_client dbl.example, defer_unauth_destination",
      { recipient: "a@other.example" },
      "454 4.7.1 <a@other.example>: Relay access denied",
    ],
    ["permit_rhswl_client dbl.example, reject", {}, "ok"],
  ])("%s %o: %s", async ([list, asked, reply]) => {
    expect(await askRcpt(list, asked, { dns })).toBe(reply);
  });

  test.for<[list: string, reply: string]>([
    ["reject_dnsbl_score 1 bl.example", blocked("192.0.2.1", "bl.example", reasons)],
    ["reject_dnsbl_score 2 bl.example", "ok"],
    ["reject_dnsbl_score 3 bl.example*1 other.example*2", blocked("192.0.2.1", "other.example")],
    ["reject_dnsbl_score 3 bl.example=127.0.0.[2..11]*2 other.example", blocked("192.0.2.1", "bl.example", reasons)],
    ["reject_dnsbl_score 3 bl.example*3 wl.example*-2", "ok"],
    ["reject_dnsbl_score 1 bl.example*3 wl.example=127.0.0.[0..255]*-4", blocked("192.0.2.1", "bl.example", reasons)],
    ["reject_dnsbl_score 3 bl.example*3 down.example*2", blocked("192.0.2.1", "bl.example", reasons)],
    // Nobody knows what the allow list would have said.
    [
      "reject_dnsbl_score 3 bl.example*3 down.example*-2",
      "450 4.7.1 <192.0.2.1>: Client host rejected: Service unavailable",
    ],
    ["reject_dnsbl_score 1 bl.example*3 down.example*-2", blocked("192.0.2.1", "bl.example", reasons)],
    ["reject_dnsbl_score 3 none.example*3, reject_dnsbl_score 1 other.example", blocked("192.0.2.1", "other.example")],
  ])("%s: %s", async ([list, reply]) => {
    expect(await askRcpt(list, {}, { dns })).toBe(reply);
  });

  test.for<[list: string, message: RegExp]>([
    ["reject_rbl_client", /takes 1 argument, not 0/],
    ["reject_rbl_client bl..example", /"bl\.\.example" is no domain name of a DNS list/],
    ["reject_rbl_client bl.example=127.0.0", /"127\.0\.0" is no pattern of answers/],
    ["reject_rbl_client bl.example=127.0.0.[4..2]", /"\[4\.\.2\]" is neither a number/],
    ["reject_dnsbl_score 3", /takes at least 2 arguments, not 1/],
    ["reject_dnsbl_score 0 bl.example", /argument 1/],
    ["reject_dnsbl_score 3 bl.example*x", /a weight is a whole number/],
    ["reject_dnsbl_score 3 bl.example*128", /a weight is a whole number/],
  ])("%s is a mistake", async ([list, message]) => {
    await expect(setUp({ lists: { rcpt: [list] } }, { dns })).rejects.toThrow(message);
  });

  test("replies by list", async () => {
    const options = {
      rblReply:
        "550 5.7.2 $rbl_class $rbl_what is on ${rbl_domain}${rbl_reason? ($rbl_reason)}, $client_address $sender_domain",
      rblReplies: {
        "bl.example": "450 4.7.9 not now, $recipient",
        "bl.example=127.0.0.4": "521 ${rbl_txt:no}",
        "other.example": "$rbl_reason is no code",
      },
    };
    for (const [list, reply] of [
      ["bl.example", "450 4.7.9 not now, known@listed.example"],
      ["bl.example=127.0.0.4", `521 5.7.1 Service unavailable`],
      ["other.example", "450 4.7.1 Service unavailable"],
      ["other.example=127.0.0.9", "550 5.7.2 Client host 192.0.2.1 is on other.example, 192.0.2.1 example.net"],
    ] as const) {
      expect(await askRcpt(`reject_rbl_client ${list}`, {}, { dns, options })).toBe(reply);
    }
    for (const [wrong, message] of [
      [{ rblReply: "554 $nothing" }, /rblReply: unknown name "\$nothing"/],
      [{ rblReply: "go away" }, /rblReply: expected a code and a text such as "554 5\.7\.1 Go away", got "go away"$/],
      [{ rblReply: "554 ${rbl_what" }, /rblReply: missing "}"/],
      [{ rblReplies: { "bl.example": "554 $" } }, /rblReplies, key "bl\.example": "\$" without a name/],
    ] as const) {
      await expect(setUp({ lists: { rcpt: ["reject_rbl_client bl.example"] } }, { options: wrong })).rejects.toThrow(
        message,
      );
    }
  });
});

test.for<[pattern: string, address: string, matches: boolean]>([
  ["127.0.0.2", "127.0.0.2", true],
  ["127.0.0.2", "127.0.0.3", false],
  ["127.0.0.[2;4..6]", "127.0.0.5", true],
  ["127.0.0.[2;4..6]", "127.0.0.3", false],
  ["127.[0..255].0.0", "127.9.0.0", true],
  ["[127.0.0.[2..3]]", "127.0.0.3", true],
  ["127.0.0.2", "::1", false],
])("answers %s, %s: %s", ([pattern, address, matches]) => {
  expect(parseAnswerFilter(pattern)(address)).toBe(matches);
});

test.for([
  "",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
  "1.2.3.a",
  "1.2.[3.4]",
  "1.2.3.3[6..9]",
  "1.2.3.2..4",
  "1.2.3.[]",
  "1.2.3.[2,3]",
  "1..2.3",
])("%s is no pattern of answers", (pattern) => {
  expect(() => parseAnswerFilter(pattern)).toThrow(/is no pattern of answers|is neither a number/);
});

test.for<[template: string, text: string]>([
  ["$a ${a} $(a) $$a", "A A A $a"],
  ["${a?yes}${none?no}", "yes"],
  ["${a:no}${none:yes}", "yes"],
  ["${a?{x $a}:{y}} ${none?{x}:{y $a}} ${none?{x}:z}", "x A y A z"],
  ["${a?${none:deep}}", "deep"],
])("template %s: %s", ([template, text]) => {
  const read = parseTemplate(template, (name) => ["a", "none"].includes(name));
  expect(read((name) => (name === "a" ? "A" : ""))).toBe(text);
});
