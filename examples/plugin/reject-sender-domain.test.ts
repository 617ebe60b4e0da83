// A plugin's test at the desk: cases as data, then the word in a whole gateway, without a port.
import { createTestGateway, openPlugin, smtp, testRestriction } from "@postern/testkit";
import { expect, test } from "vitest";
import plugin from "./reject-sender-domain.ts";

test("the word", async () => {
  const { restrictions } = await openPlugin(plugin, { text: "No" });
  const word = restrictions.get("reject_sender_domain");
  if (word === undefined) throw new Error("no word");
  await testRestriction(word, {
    cases: [
      {
        name: "its domain",
        args: ["Spam.test"],
        transaction: { sender: "a@SPAM.test" },
        expect: "reject 550 5.7.1 No",
      },
      { name: "another", args: ["spam.test"], transaction: { sender: "a@x.test" }, expect: "none" },
      { name: "a bounce", args: ["spam.test"], transaction: { sender: "" }, expect: "none" },
    ],
  });
});

test("in a gateway", async () => {
  await using gateway = await createTestGateway(
    { domains: { relay: ["example.test"] }, policy: { rcpt: ["reject_sender_domain spam.test"] } },
    { plugins: [plugin] },
  );
  await smtp(gateway)
    .say("MAIL FROM:<a@spam.test>")
    .say("RCPT TO:<b@example.test>")
    .expect(/^550 5\.7\.1 /);
  await smtp(gateway)
    .say("MAIL FROM:<a@x.test>")
    .say("RCPT TO:<b@example.test>")
    .data("Subject: hello\n\nhello\n")
    .expect(/^250 2\.0\.0 /);
  const [mail] = await gateway.delivered(1);
  expect(mail).toMatchObject({ sender: "a@x.test", recipients: ["b@example.test"] });
  expect(mail?.content.toString()).toMatch(/^Received: from client\.example\.net [^]*Subject: hello\r\n/);
});
