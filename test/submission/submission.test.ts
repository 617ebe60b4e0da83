// The operator's page carried out: who gets in, as whom they may send, and what everybody else hears.
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, expect, it } from "vitest";
import { talk, type Client } from "../e2e/client.ts";
import { dial } from "../e2e/dialogue.ts";
import { describeWith } from "../services/describe-with.ts";
import { password, startSubmissionHost, user, type SubmissionHost } from "./submission.ts";

const login = (identity: string, secret: string, authzid = ""): string =>
  `AUTH PLAIN ${Buffer.from(`${authzid}\0${identity}\0${secret}`).toString("base64")}`;

/** After the greeting and EHLO, TLS from the start. */
async function dialTls(port: number): Promise<Client> {
  const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const client = talk(socket);
  expect(await client.reply()).toMatch(/^220 /);
  await client.say("EHLO client.test");
  return client;
}

describeWith(["openssl"], "a submission host", () => {
  let host: SubmissionHost;
  beforeAll(async () => {
    host = await startSubmissionHost({
      limits: { errors: 1000, junkCommands: 1000 },
    });
  });
  afterAll(() => host[Symbol.asyncDispose]());

  it("587: TLS first, then a login, then mail; what was said before TLS is forgotten", async () => {
    const plain = connectTcp(host.submission, "127.0.0.1");
    const before = talk(plain);
    await before.reply();
    const extensions = await before.say("EHLO client.test");
    expect(extensions).toContain("STARTTLS");
    expect(extensions).not.toContain("AUTH");
    expect(await before.say(login(user, password))).toBe(
      "538 5.7.11 Encryption required for requested authentication mechanism",
    );
    expect(await before.say(`MAIL FROM:<${user}>`)).toBe("530 5.7.0 Must issue a STARTTLS command first");
    expect(await before.say("STARTTLS")).toMatch(/^220 /);
    plain.removeAllListeners("data");
    const secure = connectTls({ socket: plain, rejectUnauthorized: false });
    await once(secure, "secureConnect");
    const client = talk(secure);
    expect(await client.say(login(user, password))).toMatch(/^503 5\.5\.1 /);
    expect(await client.say("EHLO client.test")).toMatch(/^250-AUTH PLAIN LOGIN$/m);
    expect(await client.say(`MAIL FROM:<${user}>`)).toBe("530 5.7.0 Authentication required");
    expect(await client.say(login(user, password))).toBe("235 2.7.0 Authentication successful");
    expect(await client.say(`MAIL FROM:<${user}>`)).toMatch(/^250 /);
    // To whomever, since it is known who this is.
    expect(await client.say("RCPT TO:<somebody@elsewhere.test>")).toMatch(/^250 /);
    expect(await client.say("RCPT TO:<other@example.test>")).toMatch(/^250 /);
    client.hangUp();
  });

  it("a wrong password and an unknown name sound the same, and nobody relays with either", async () => {
    const client = await dialTls(host.submissions);
    const replies = [
      await client.say(login(user, "wrong")),
      await client.say(login("nobody@example.test", password)),
      await client.say(login(user, password, "other@example.test")),
    ];
    expect(new Set(replies)).toEqual(new Set(["535 5.7.8 Authentication failed"]));
    expect(await client.say("MAIL FROM:<a@there.test>")).toBe("530 5.7.0 Authentication required");
    expect(await client.say("RCPT TO:<victim@elsewhere.test>")).toMatch(/^5/);
    client.hangUp();
  });

  it("port 25 knows no AUTH and relays for nobody", async () => {
    using client = await dial(host.gateway.port);
    expect(await client.say("EHLO client.test")).not.toContain("AUTH");
    expect(await client.say(login(user, password))).toMatch(/^503 5\.5\.1 /);
    expect(await client.say(`MAIL FROM:<${user}>`)).toMatch(/^250 /);
    expect(await client.say("RCPT TO:<victim@elsewhere.test>")).toMatch(/^554 5\.7\.1 /);
    expect(await client.say("RCPT TO:<other@example.test>")).toMatch(/^250 /);
  });

  it("four failures end a session", async () => {
    const client = await dialTls(host.submissions);
    for (let left = 3; left > 0; left -= 1) expect(await client.say(login(user, "x"))).toMatch(/^535 /);
    expect(await client.say(login(user, "x"))).toBe("421 4.7.0 Too many failed logins, closing connection");
    expect(await client.over()).toBe("");
  });
});

describeWith(["openssl"], "who may send as whom", () => {
  it("reject_sender_login_mismatch: under one's own addresses alone, and strangers under nobody's", async () => {
    await using host = await startSubmissionHost({}, { mail: ["reject_sender_login_mismatch"] });
    const client = await dialTls(host.submissions);
    expect(await client.say(login(user, password))).toMatch(/^235 /);
    for (const [sender, expected] of [
      [user, /^250 /],
      ["other@example.test", /^553 5\.7\.1 .*Sender address rejected: not owned by user user@example\.test$/],
      ["nobody@example.test", /^553 5\.7\.1 /],
    ] as const) {
      await client.say(`MAIL FROM:<${sender}>`);
      expect(await client.say("RCPT TO:<other@example.test>")).toMatch(expected);
      await client.say("RSET");
    }
    client.hangUp();
  });
});

describeWith(["openssl"], "guessing", () => {
  it("shuts the network out, with the right password too, and the log has a line for each", async () => {
    await using host = await startSubmissionHost({}, {}, { perClient: 5, perSession: 2 });
    for (let session = 0; session < 3; session += 1) {
      const client = await dialTls(host.submissions);
      for (let left = 2; left > 0; left -= 1) await client.say(login(user, `guess-${session}`));
      client.hangUp();
    }
    const client = await dialTls(host.submissions);
    expect(await client.say(login(user, password))).toBe("454 4.7.0 Temporary authentication failure");
    client.hangUp();
    const lines = host.gateway
      .log()
      .match(/\[127\.0\.0\.1\]: SASL PLAIN authentication failed: authentication failure/g);
    expect(lines).toHaveLength(5);
    expect(host.gateway.log()).not.toContain("guess-");
  });
});
