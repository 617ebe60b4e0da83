// The plugin in a whole gateway: lists of each listener, effects that are carried out, what the wire tells the words.
import { createStaticResolver, type Config } from "@postern/core";
import { createTestGateway, smtp } from "@postern/testkit";
import { expect, test } from "vitest";
import access from "./index.ts";

const domains = { relay: { domains: ["ours.test"] } };
const listener = (name: string, port: number, policy?: NonNullable<Config["listeners"]>[number]["policy"]) => ({
  name,
  host: "127.0.0.1",
  port,
  ...(policy === undefined ? {} : { policy }),
});
const dns = createStaticResolver({
  "there.test": { a: ["192.0.2.1"] },
  "192.0.2.1": { ptr: ["client.there.test"] },
  "client.there.test": { a: ["192.0.2.1"] },
  "9.2.0.192.bl.test": { a: ["127.0.0.2"], txt: ["seen"] },
});

test("each listener asks its own lists, and the global ones for stages that it does not name", async () => {
  await using gateway = await createTestGateway(
    {
      domains,
      listeners: [
        listener("world", 25),
        listener("office", 2525, { connect: [["check_client_access", { "192.0.2.1": "OK" }], "reject"] }),
        listener("closed", 2526, { rcpt: ["defer"], data: [] }),
      ],
      policy: {
        connect: ["reject_unknown_client_hostname"],
        rcpt: ["reject_rbl_client bl.test", "reject_non_fqdn_recipient"],
        data: ["reject_multi_recipient_bounce"],
      },
    },
    { plugins: [access], dns },
  );
  const hear = async (name: string, remoteAddress: string): Promise<string> => {
    const peer = { connect: (client: object) => gateway.connect({ ...client, listener: name }) };
    return smtp(peer, { remoteAddress }).say("MAIL FROM:<a@there.test>").say("RCPT TO:<b@ours.test>");
  };
  expect(await hear("world", "192.0.2.1")).toBe("250 2.1.5 Ok");
  expect(await hear("world", "192.0.2.8")).toBe(
    "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.8]",
  );
  expect(await hear("office", "192.0.2.1")).toBe("250 2.1.5 Ok");
  expect(await hear("office", "192.0.2.8")).toBe("554 5.7.1 <unknown[192.0.2.8]>: Client host rejected: Access denied");
  expect(await hear("closed", "192.0.2.1")).toBe(
    "450 4.3.2 <b@ours.test>: Recipient address rejected: Try again later",
  );
});

test("who talks ahead of his turn is refused, at the latest at DATA", async () => {
  await using gateway = await createTestGateway(
    { domains, policy: { rcpt: ["reject_unauth_pipelining"], data: ["reject_unauth_pipelining"] } },
    { plugins: [access] },
  );
  const mail = ["MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>"] as const;
  await smtp(gateway)
    .pipeline(...mail)
    .expect("250 2.1.5 Ok");
  await smtp(gateway)
    .pipeline("NOOP", ...mail)
    .expect("503 5.5.0 <b@ours.test>: Recipient address rejected: Improper use of SMTP command pipelining");
  await smtp(gateway)
    .pipeline(...mail, "DATA", "QUIT")
    .expect(/^221 /);
  expect(gateway.log.filter((line) => line.includes("improper command pipelining"))).toHaveLength(2);
  expect(gateway.log.join("\n")).toMatch(/503 5\.5\.0 <DATA>: Data command rejected: Improper use/);
});

test("a table's effects reach the queue", async () => {
  const table = {
    "bcc@ours.test": "BCC archive@ours.test",
    "trap@ours.test": "REDIRECT postmaster@ours.test",
    "drop@ours.test": "DISCARD",
  };
  await using gateway = await createTestGateway(
    { domains, relayhost: "[127.0.0.1]", policy: { rcpt: [["check_recipient_access", table]] } },
    { plugins: [access] },
  );
  const send = (...to: readonly string[]) => {
    const dialogue = smtp(gateway).say("MAIL FROM:<a@there.test>");
    for (const name of to) dialogue.say(`RCPT TO:<${name}@ours.test>`).expect("250 2.1.5 Ok");
    return dialogue.data("Subject: x\n\nbody\n").expect(/^250 /);
  };
  await send("drop", "plain");
  await send("bcc", "plain");
  await send("trap", "plain");
  const deliveries = await gateway.delivered(2);
  const recipients = deliveries.flatMap((delivery) => delivery.recipients);
  expect(recipients.toSorted()).toEqual([
    "archive@ours.test",
    "bcc@ours.test",
    "plain@ours.test",
    "postmaster@ours.test",
  ]);
});

test("a reply of 421 or 521 ends the session", async () => {
  const table = { "a.test": "521 Go away", "b.test": "421 Not now" };
  await using gateway = await createTestGateway(
    { domains, policy: { mail: [["check_sender_access", table]] } },
    { plugins: [access] },
  );
  for (const [sender, reply] of [
    ["x@a.test", "521 5.7.1 <x@a.test>: Sender address rejected: Go away"],
    ["x@b.test", "421 4.7.1 <x@b.test>: Sender address rejected: Not now"],
  ] as const) {
    await smtp(gateway).say(`MAIL FROM:<${sender}>`).say("RCPT TO:<b@ours.test>").expect(reply).closed();
  }
});

test.each([
  ["FILTER elsewhere:[127.0.0.1]:10025", /key "a@there\.test": no plugin brings the transport "elsewhere"/],
  ["FILTER smtp:[127.0.0.1]:100025", /key "a@there\.test": "\[127\.0\.0\.1\]:100025" is no next-hop/],
])("%s is a mistake before any mail has to wait for it", async (value, message) => {
  const policy = { rcpt: [["check_sender_access", { "a@there.test": value }]] } as never;
  await expect(createTestGateway({ domains, policy }, { plugins: [access], dns })).rejects.toThrow(message);
});
