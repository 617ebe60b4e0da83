// Greylisting in both directions: a real postgrey asked by us, and a real Postfix that asks our own greylist.
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { talk } from "../e2e/client.ts";
import { undisturbed } from "../undisturbed.ts";
import { startReceiving } from "./receiving.ts";
import {
  describeWith,
  freePort,
  startPostfix,
  startPostgrey,
  temporaryFolder,
  waitForMail,
} from "../services/index.ts";

/** What a client hears at RCPT, and at the end of a message that was sent when it was let in. */
async function send(port: number, sender: string, recipient = "alice@example.test"): Promise<string> {
  const client = talk(connect(port, "127.0.0.1"));
  await client.reply();
  // Postgrey lets nobody wait who is on loopback's own network, were it asked about it.
  await client.say("XCLIENT NAME=mx.client.test ADDR=192.0.2.7");
  await client.say("EHLO mx.client.test");
  await client.say(`MAIL FROM:<${sender}>`);
  const reply = await client.say(`RCPT TO:<${recipient}>`);
  const answer = reply.startsWith("2") ? await client.data() : reply;
  client.hangUp();
  return answer;
}

async function sendUntilTaken(port: number, sender: string): Promise<string> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const answer = await send(port, sender);
    if (!answer.startsWith("450")) return answer;
    await delay(100);
  }
  return "450 for ever";
}

describeWith(["root", "postgrey"], "postgrey", () => {
  test("puts a stranger off and then lets it in; absent, stopped or killed its default action stands", async () => {
    await undisturbed(async () => {
      using folder = temporaryFolder();
      await using postgrey = await startPostgrey({ folder: folder.path });
      const { address } = postgrey;
      const service = {
        address,
        timeout: "2s",
        tryLimit: 1,
        retryDelay: "10ms",
        defaultAction: "451 4.3.5 no postgrey",
      };
      await using gateway = await startReceiving({
        plugins: [["@postern/plugin-policy", { services: { postgrey: service } }]],
        policy: { rcpt: ["reject_unauth_destination", "check_policy_service postgrey"] },
      });
      const { port } = gateway;
      expect(await send(port, "a@client.test")).toMatch(
        /^450 4\.2\.0 <alice@example\.test>: Recipient address rejected: Greylisted/,
      );
      expect(await sendUntilTaken(port, "a@client.test")).toMatch(/^250 2\.0\.0 /);
      expect(await send(port, "a@client.test")).toMatch(/^250 /);
      expect(await send(port, "b@client.test")).toMatch(/^450 4\.2\.0 /);

      const standing = /^451 4\.3\.5 <alice@example\.test>: Recipient address rejected: no postgrey/;
      await postgrey.pause();
      for (let count = 0; count < 2; count++) expect(await send(port, "a@client.test")).toMatch(standing);
      postgrey.resume();
      expect(await send(port, "a@client.test")).toMatch(/^250 /);
      await postgrey.kill();
      for (let count = 0; count < 3; count++) expect(await send(port, "a@client.test")).toMatch(standing);
      await using again = await startPostgrey({ folder: folder.path, port: postgrey.port });
      expect(await send(port, "a@client.test")).toMatch(/^250 /);
      const lines = gateway.log().split("\n");
      // Once a minute, however often it fails in it.
      expect(lines.filter((line) => line.includes("; its default action "))).toHaveLength(1);
      expect(lines.filter((line) => line.includes("answers again, after 2 questions without"))).toHaveLength(1);
      expect(again.log()).toContain("action=pass, reason=triplet found");
    });
  });
});

describeWith(["root", "postfix"], "our greylist behind Postfix", () => {
  test("puts a stranger off and then lets it in, asked over TCP and a unix socket", async () => {
    using folder = temporaryFolder();
    const addresses = [`inet:127.0.0.1:${await freePort()}`, `unix:${join(folder.path, "policy.sock")}`];
    const list = ["permit_mynetworks", "greylist"];
    await using gateway = await startReceiving({
      plugins: [
        ["@postern/plugin-greylist", { delay: "1s" }],
        ["@postern/plugin-policy", { listen: addresses.map((address) => ({ address, list, mode: "0666" })) }],
      ],
    });
    const asked = addresses.map((address) => `check_policy_service ${address}`).join(", ");
    await using postfix = await startPostfix({
      folder: folder.path,
      mailboxes: ["alice@example.test"],
      main: {
        smtpd_authorized_xclient_hosts: "127.0.0.1",
        smtpd_recipient_restrictions: `reject_unauth_destination, ${asked}`,
        smtpd_policy_service_try_limit: "1",
      },
    });
    const { port } = postfix;
    expect(await send(port, "a@client.test")).toMatch(
      /^450 4\.7\.1 <alice@example\.test>: Recipient address rejected: Greylisted, try again later/,
    );
    expect(await sendUntilTaken(port, "a@client.test")).toMatch(/^250 2\.0\.0 /);
    expect(await waitForMail(postfix.maildir("alice@example.test"))).toHaveLength(1);
    expect(await send(port, "b@client.test")).toMatch(/^450 4\.7\.1 /);
    expect(postfix.mailLog()).not.toContain("problem talking to server");
    // Postfix keeps its connection; a gateway that is gone is a service that is gone.
    await gateway.stop();
    expect(await send(port, "b@client.test")).toMatch(/^451 4\.3\.5 /);
  });
});
