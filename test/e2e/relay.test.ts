// Through the gateway to next-hops that others wrote: Postfix with STARTTLS, and smtp-sink under load.
import { afterAll, beforeAll, expect, it } from "vitest";
import { temporaryFolder } from "../services/folder.ts";
import { waitForMail } from "../services/maildir.ts";
import { startPostfix, type PostfixPeer } from "../services/postfix.ts";
import { describeWith } from "../services/describe-with.ts";
import { startSmtpSink } from "../services/smtp-sink.ts";
import { until } from "./until.ts";
import { hand } from "./dialogue.ts";
import { startGateway, type GatewayProcess } from "./gateway.ts";
import { sender, trickyMessage, withoutTrace } from "./mail.ts";
import { run } from "./run.ts";

const relayPlugins = ["@postern/plugin-access", "@postern/plugin-transport-smtp"];

describeWith(["postfix", "root"], "relay to Postfix", () => {
  const folder = temporaryFolder();
  let postfix: PostfixPeer;
  let gateway: GatewayProcess;

  beforeAll(async () => {
    postfix = await startPostfix({ folder: folder.path, tls: true });
    gateway = await startGateway({
      config: {
        domains: { relay: ["example.test"] },
        plugins: relayPlugins,
        relayhost: `[127.0.0.1]:${postfix.port}`,
      },
    });
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await postfix.stop();
    folder[Symbol.dispose]();
  });

  it("octets arrive unchanged, over TLS", async () => {
    const message = trickyMessage("to Postfix", "alice@example.test");
    expect(await hand(gateway.port, { from: sender, to: "alice@example.test", content: message })).toMatch(
      /^250 2\.0\.0 /,
    );
    const [mail] = await waitForMail(postfix.maildir("alice@example.test"));
    const raw = mail?.raw ?? Buffer.alloc(0);
    expect(withoutTrace(raw).toString("latin1")).toBe(message.toString("latin1"));
    expect(raw.toString("latin1")).toMatch(/by mx\.example\.test \(Postfix\) with ESMTPS id/);
  });

  it("a recipient that the next-hop refuses bounces to the sender as a report", async () => {
    const reply = await hand(gateway.port, { from: "bob@example.test", to: "nobody@example.test" });
    expect(reply).toMatch(/^250 /);
    const [mail] = await waitForMail(postfix.maildir("bob@example.test"));
    const text = mail?.raw.toString("latin1") ?? "";
    expect(text).toMatch(/^Return-Path: <>/m);
    expect(text).toMatch(/^Content-Type: multipart\/report;[^]*?report-type="?delivery-status/m);
    expect(text).toMatch(/^Final-Recipient: rfc822; ?nobody@example\.test/m);
    expect(text).toMatch(/^Action: failed/m);
    expect(text).toMatch(/^Status: 5\.1\.1/m);
    expect(text).toMatch(/^Diagnostic-Code: smtp; ?550 5\.1\.1/m);
  });

  it("a stranger's domain is refused", async () => {
    const reply = await hand(gateway.port, { to: "victim@elsewhere.test" });
    expect(reply).toMatch(/^250 /); // loopback is in `networks`, so it may
    await using strict = await startGateway({
      config: { networks: [], domains: { relay: ["example.test"] }, plugins: relayPlugins },
    });
    expect(await hand(strict.port, { to: "victim@elsewhere.test" })).toMatch(/^554 5\.7\.1 /);
  });
});

describeWith(["smtp-source", "smtp-sink"], "smtp-source to smtp-sink", () => {
  it.each([
    ["many messages a session", ["-d"]],
    ["one message a session", []],
  ])("%s: all arrive", async (_name, extra) => {
    using folder = temporaryFolder();
    await using sink = await startSmtpSink({ folder: folder.path });
    await using gateway = await startGateway({
      config: { domains: { relay: ["example.test"] }, plugins: relayPlugins, relayhost: `[127.0.0.1]:${sink.port}` },
    });
    const args = ["-s", "10", "-m", "200", "-l", "5000", ...extra];
    const ended = await run("smtp-source", [
      ...args,
      "-f",
      sender,
      "-t",
      "user@example.test",
      `127.0.0.1:${gateway.port}`,
    ]);
    expect(ended, ended.stderr).toMatchObject({ status: 0 });
    await until(() => sink.count() >= 200);
    expect(sink.count()).toBe(200);
  });
});
