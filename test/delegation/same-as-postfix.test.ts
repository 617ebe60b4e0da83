// One session and one policy service, for a real Postfix smtpd and for us: the same questions, and the same replies to whatever
// the service answers.
import { connect } from "node:net";
import { expect, test } from "vitest";
import {
  attributesOf,
  startPolicyService,
  type Reaction,
} from "../../packages/plugin-policy/src/policy-service.fixture.ts";
import { talk, type Client } from "../e2e/client.ts";
import { describeWith, startPostfix, temporaryFolder } from "../services/index.ts";
import { undisturbed } from "../undisturbed.ts";
import { startReceiving } from "./receiving.ts";

/** Whoever is asked: the port of an SMTP listener. */
async function open(port: number): Promise<Client> {
  const client = talk(connect(port, "127.0.0.1"));
  await client.reply();
  await client.say("XCLIENT NAME=mx.client.test ADDR=192.0.2.7 PORT=4242");
  return client;
}

const word = (port: number): string => `check_policy_service inet:127.0.0.1:${port}`;

async function startBoth(port: number, folder: string, delay: boolean, timeout: string) {
  const all = word(port);
  const lists = {
    smtpd_delay_reject: delay ? "yes" : "no",
    smtpd_client_restrictions: all,
    smtpd_helo_restrictions: all,
    smtpd_sender_restrictions: all,
    smtpd_recipient_restrictions: `${all}, reject_unauth_destination`,
    smtpd_data_restrictions: all,
    smtpd_end_of_data_restrictions: all,
  };
  // A failure is told after one try, and at once.
  const patience = { smtpd_policy_service_try_limit: "1", smtpd_policy_service_timeout: timeout };
  const postfix = await startPostfix({
    folder,
    main: { smtpd_authorized_xclient_hosts: "127.0.0.1", ...lists, ...patience },
  });
  const entry = `${all.replace("inet:", "{ inet:")}, try_limit=1, timeout=${timeout} }`;
  const gateway = await startReceiving({
    plugins: ["@postern/plugin-policy"],
    policy: {
      delayReject: delay,
      connect: [entry],
      helo: [entry],
      mail: [entry],
      rcpt: [entry],
      data: [entry],
      message: [entry],
    },
  });
  return { postfix, gateway };
}

/** Differs by nature, or is listed in docs/standards.md. */
const differing = ["instance", "queue_id", "server_port", "compatibility_level", "mail_version"];

const comparable = (question: string) =>
  question
    .split("\n")
    .filter((line) => !differing.some((name) => line.startsWith(`${name}=`) && !line.endsWith("=")))
    .filter((line) => !/^(?:compatibility_level|mail_version)=/.test(line))
    .join("\n")
    // The list is asked a second time after XCLIENT, and Postfix calls it by that name.
    .replace("protocol_state=XCLIENT", "protocol_state=CONNECT")
    .replace(/client_port=(?!4242)\d+/, "client_port=");

const session = [
  "EHLO helo.client.test",
  'MAIL FROM:<"a b"@client.test> SIZE=1000',
  "RCPT TO:<alice@example.test>",
  "RCPT TO:<bob@example.test>",
  "data",
  "MAIL FROM:<>",
  "RCPT TO:<Alice@example.test>",
  "data",
  "MAIL FROM:<x@client.test>",
  "RCPT TO:<alice@example.test>",
  "RSET",
  "MAIL FROM:<x@client.test>",
  "RCPT TO:<alice@example.test>",
  "QUIT",
];

async function run(client: Client, lines: readonly string[]): Promise<string[]> {
  const replies: string[] = [];
  for (const line of lines) replies.push(await (line === "data" ? client.data() : client.say(line)));
  return replies;
}

describeWith(["root", "postfix"], "a policy service", () => {
  test.each([[true], [false]])("hears from us what it hears from Postfix (delayed refusals: %s)", async (delay) => {
    using folder = temporaryFolder();
    await using service = await startPolicyService(() => "DUNNO");
    const { postfix, gateway } = await startBoth(service.port, folder.path, delay, "60s");
    await using _postfix = postfix;
    await using _gateway = gateway;
    const heard: string[][] = [];
    for (const { port } of [postfix, gateway]) {
      service.heard.length = 0;
      const client = await open(port);
      const replies = await run(client, session);
      expect(replies.every((reply) => /^[23]/.test(reply))).toBe(true);
      client.hangUp();
      heard.push(service.heard.map(String));
    }
    const [theirs = [], ours = []] = heard;
    expect(theirs.length).toBeGreaterThan(10);
    expect(ours.map(comparable)).toEqual(theirs.map(comparable));
    // One instance for a message, another for the next, at the same questions.
    const groups = (questions: readonly string[]) => {
      const names = questions.map((question) => attributesOf(question)["instance"] ?? "");
      return names.map((name) => (name === "" ? -1 : names.indexOf(name)));
    };
    expect(groups(ours)).toEqual(groups(theirs));
    const names = (question = "") => question.split("\n").map((line) => line.slice(0, line.indexOf("=")));
    const known = names(theirs[0]);
    expect(names(ours[0]).slice(0, known.length)).toEqual(known);
  });

  const reactions: readonly [string, Reaction][] = [
    ["OK", "OK"],
    ["REJECT", "REJECT"],
    ["REJECT with a text", "REJECT go away"],
    ["REJECT with a code", "REJECT 5.7.25 go away"],
    ["DEFER", "DEFER later"],
    ["a reply", "550 5.7.26 no"],
    ["a reply for now", "421 4.7.0 no"],
    ["DEFER_IF_PERMIT", "DEFER_IF_PERMIT 4.7.1 wait"],
    ["DEFER_IF_REJECT", "DEFER_IF_REJECT wait"],
    ["DISCARD", "DISCARD"],
    ["HOLD", "HOLD look"],
    ["PREPEND", "PREPEND X-Seen: yes"],
    ["a word", "reject_unauth_destination"],
    ["a word that refuses", "reject"],
    ["lower case", "reject nothing"],
    ["several actions", { raw: "action=REJECT first\naction=OK\n\n" }],
    ["other attributes", { raw: "a=b\naction=REJECT x\nc=d\n\n" }],
    ["no action", { raw: "a=b\n\n" }],
    ["a blank line", { raw: "\n" }],
    ["rubbish", { raw: "what?\n\n" }],
    ["a closed connection", (socket) => socket.destroy()],
    ["half an answer", (socket) => socket.end("action=OK\n")],
    ["silence", () => undefined],
  ];

  test("is obeyed as by Postfix, whatever it answers", async () => {
    using folder = temporaryFolder();
    let reaction: Reaction = "DUNNO";
    await using service = await startPolicyService((question) =>
      attributesOf(question)["protocol_state"] === "RCPT" ? reaction : "DUNNO",
    );
    const { postfix, gateway } = await startBoth(service.port, folder.path, false, "1s");
    await using _postfix = postfix;
    await using _gateway = gateway;
    const codeFrom = async (port: number): Promise<string> => {
      const client = await open(port);
      const all = await run(client, ["EHLO h", "MAIL FROM:<a@client.test>", "RCPT TO:<alice@example.test>"]);
      client.hangUp();
      // Codes with the enhanced one; texts are each one's own, but for those that the service gave.
      return /^(\d{3} [\d.]+)/.exec(all[2] ?? "")?.[1] ?? "";
    };
    for (const [name, own] of reactions) {
      reaction = own;
      await undisturbed(async () => {
        const theirs = await codeFrom(postfix.port);
        expect({ name, code: await codeFrom(gateway.port) }).toEqual({ name, code: theirs });
      });
    }
  });
});
