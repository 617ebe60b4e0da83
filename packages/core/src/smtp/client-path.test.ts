// Addresses without a domain, by whom they are written.
import { createTestGateway, smtp } from "@postern/testkit";
import { expect, test } from "vitest";

test("our own clients may leave the domain out: it is the origin, before anything is asked", async () => {
  await using gateway = await createTestGateway({
    origin: "example.test",
    domains: { local: { domains: ["example.test"], recipients: ["joe@example.test", "o'neil@example.test"] } },
  });
  const ours = smtp(gateway, { remoteAddress: "127.0.0.1" });
  await ours
    .say("MAIL FROM:<root>")
    .expect(/^250/)
    .say("RCPT TO:<joe>")
    .expect(/^250/)
    .say("RCPT TO:<O'Neil>")
    .expect(/^250/);
  await ours.say("RCPT TO:<nobody>").expect(/^550 5\.1\.1 <nobody@example\.test>/);
  await ours.say("RCPT TO:<two words>").expect(/^501/).say("RCPT TO:<joe@>").expect(/^501/);
  await ours.data("Subject: x\n\nx\n").expect(/^250/);
  const [mail] = await gateway.delivered(1);
  expect([mail?.sender, mail?.recipients]).toEqual(["root@example.test", ["joe@example.test", "O'Neil@example.test"]]);
  ours.hangUp();
});

test("a stranger may not, but for the postmaster", async () => {
  await using gateway = await createTestGateway({ origin: "example.test", domains: { local: ["example.test"] } });
  const stranger = smtp(gateway);
  await stranger.say("MAIL FROM:<root>").expect("501 5.1.7 Bad sender: address without domain");
  await stranger.say("MAIL FROM:<a@b.test>").expect(/^250/);
  await stranger.say("RCPT TO:<joe>").expect("501 5.1.3 Bad recipient: address without domain");
  await stranger.say("RCPT TO:<Postmaster>").expect(/^250/);
  stranger.hangUp();
});
