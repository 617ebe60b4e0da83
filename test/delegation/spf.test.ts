// policyd-spf of Debian, its records in a name server of the test's: refused, let in with its header, put off.
import { connect } from "node:net";
import { expect, test } from "vitest";
import { talk } from "../e2e/client.ts";
import {
  describeWith,
  startKnot,
  startPolicydSpf,
  startPostfix,
  temporaryFolder,
  waitForMail,
} from "../services/index.ts";
import { startReceiving } from "./receiving.ts";

const zones = {
  "pass.test": '@ TXT "v=spf1 ip4:192.0.2.7 -all"',
  "fail.test": '@ TXT "v=spf1 ip4:192.0.2.99 -all"',
  "soft.test": '@ TXT "v=spf1 ip4:192.0.2.99 ~all"',
  "none.test": "@ A 192.0.2.1",
};

describeWith(["root", "policyd-spf", "socat", "knotd", "postfix"], "policyd-spf", () => {
  test("refuses, prepends its header, and knows one message from the next", async () => {
    using folder = temporaryFolder();
    await using knot = await startKnot({ folder: folder.path, zones });
    await using spf = await startPolicydSpf({ folder: folder.path, dnsPort: knot.port });
    await using next = await startPostfix({ folder: folder.path, mailboxes: ["@example.test"] });
    await using gateway = await startReceiving({
      relayhost: `[127.0.0.1]:${next.port}`,
      plugins: [
        ["@postern/plugin-policy", { services: { spf: { address: spf.socket, timeout: "20s", connections: 2 } } }],
      ],
      policy: { rcpt: ["reject_unauth_destination", "check_policy_service spf"] },
    });
    const client = talk(connect(gateway.port, "127.0.0.1"));
    await client.reply();
    await client.say("XCLIENT NAME=mx.client.test ADDR=192.0.2.7");
    await client.say("EHLO mx.client.test");
    const rcpt = async (sender: string, ...recipients: string[]) => {
      await client.say("RSET");
      await client.say(`MAIL FROM:<${sender}>`);
      const replies = [];
      for (const recipient of recipients) replies.push(await client.say(`RCPT TO:<${recipient}>`));
      return replies.at(-1) ?? "";
    };
    expect(await rcpt("a@fail.test", "alice@example.test")).toMatch(
      /^550 5\.7\.23 <alice@example\.test>: Recipient address rejected: Message rejected due to: SPF fail/,
    );
    for (const [sender, result] of [
      ["a@pass.test", "Pass"],
      ["a@soft.test", "Softfail"],
      ["a@none.test", "None"],
    ] as const) {
      const mailbox = `${result.toLowerCase()}@example.test`;
      // Asked for each recipient; policyd-spf knows by the instance that it has said it already.
      expect(await rcpt(sender, mailbox, `x${mailbox}`)).toMatch(/^250 /);
      expect(await client.data(`Subject: ${result}\r\n\r\nx\r\n`)).toMatch(/^250 /);
    }
    client.hangUp();
    const mails = (await waitForMail(next.maildir("@example.test"), 6)).map(({ raw }) => raw.toString());
    for (const result of ["Pass", "Softfail", "None"]) {
      const own = mails.filter((mail) => mail.includes(`\nSubject: ${result}\n`));
      expect(own).toHaveLength(2);
      for (const mail of own) {
        expect(mail.match(/^Received-SPF: .*/gm)).toEqual([
          expect.stringMatching(new RegExp(`^Received-SPF: ${result} `)),
        ]);
      }
    }
    expect(gateway.log()).not.toContain("default action");
  });
});
