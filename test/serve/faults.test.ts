// What goes wrong between a Postfix and `postern serve milter`: serve killed, stopped, away; plugins that throw and hang; many at once.
import { statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../e2e/run.ts";
import { command } from "../e2e/gateway.ts";
import { until } from "../e2e/until.ts";
import { describeWith, freePort, temporaryFolder, waitForMail } from "../services/index.ts";
import { readMaildir } from "../services/maildir.ts";
import { undisturbed } from "../undisturbed.ts";
import { introduce, send, startAsking, startServing, type Asking } from "./serving.ts";

describeWith(["root", "postfix"], "a Postfix whose milter has its troubles", () => {
  const home = temporaryFolder();
  const socket = join(home.path, "milter.sock");
  const served = { impatient: 0, patient: 0 };
  let postfix: Asking<"impatient" | "patient" | "unix">;
  beforeAll(async () => {
    for (const name of ["impatient", "patient"] as const) served[name] = await freePort();
    postfix = await startAsking(home.path, ["one.test", "two.test", "three.test"], {
      impatient: [`inet:127.0.0.1:${served.impatient}`, { milter_command_timeout: "1s", milter_content_timeout: "2s" }],
      patient: [`inet:127.0.0.1:${served.patient}`],
      unix: [`unix:${socket}`],
    });
  });
  afterAll(async () => {
    await postfix.stop();
    home[Symbol.dispose]();
  });

  test("killed, stopped and away: milter_default_action stands, and it is asked again when it is back", async () => {
    using folder = temporaryFolder();
    const options = {
      folder: folder.path,
      port: served.impatient,
      plugin: odd,
    };
    const first = await startServing(options);
    const port = postfix.ports.impatient;
    const to = { recipients: ["alice@one.test"] };
    const expectTaken = () => undisturbed(async () => expect(await send(port, to)).toMatch(/^250/));
    await expectTaken();
    await first.pause();
    expect(await send(port, to)).toMatch(/^451 4\.7\.1 Service unavailable/);
    first.resume();
    await expectTaken();

    // In the middle of a message.
    const client = await introduce(port);
    await client.say("MAIL FROM:<slow@client.test>");
    await client.say("RCPT TO:<alice@one.test>");
    const waiting = client.data("Subject: for 60\r\n\r\nx\r\n");
    await until(() => first.log().includes("scanning for 60"));
    await first.kill();
    expect(await waiting).toMatch(/^451 4\.7\.1 Service unavailable/);
    client.hangUp();
    expect(await send(port, to)).toMatch(/^451 4\.7\.1 Service unavailable/);
    await using back = await startServing(options);
    await expectTaken();
    await waitForMail(postfix.maildir("@one.test"), 3);
    expect(readMaildir(postfix.maildir("@one.test"))).toHaveLength(3);
    expect(back.log()).not.toContain("warning");
  });

  test("plugins that throw and hang answer by their onError; a long scan keeps Postfix waiting", async () => {
    using folder = temporaryFolder();
    await using serving = await startServing({
      folder: folder.path,
      port: served.patient,
      plugin: odd,
    });
    const port = postfix.ports.patient;
    const client = await introduce(port);
    expect(await client.say("MAIL FROM:<a@client.test>")).toMatch(/^250/);
    expect(await client.say("RCPT TO:<throw@two.test>")).toBe("451 4.3.0 Temporary failure, try again later");
    expect(await client.say("RCPT TO:<alice@two.test>")).toMatch(/^250/);
    expect(await client.data("Subject: throw\r\n\r\nx\r\n")).toBe("451 4.3.0 Temporary failure, try again later");
    client.hangUp();
    expect(await send(port, { recipients: ["alice@two.test"], content: "Subject: rubbish\r\n\r\nx\r\n" })).toBe(
      "451 4.3.0 Temporary failure, try again later",
    );
    expect(await send(port, { recipients: ["alice@two.test"], content: "Subject: for 60\r\n\r\nx\r\n" })).toBe(
      "451 4.3.0 Temporary failure, try again later",
    );
    expect(serving.log()).toMatch(/warning: plugin odd: scanner odd failed \(timeout\)/);
    expect(serving.log()).toMatch(/warning: plugin odd: smtp\.rcpt failed \(error\): thrown/);
    expect(serving.log()).not.toMatch(/\n\s+at /);
  });

  test("fifty sessions at once, clients that leave in the middle, a large message", async () => {
    using folder = temporaryFolder();
    await using serving = await startServing({
      folder: folder.path,
      port: served.patient,
      plugin: odd,
    });
    const port = postfix.ports.patient;
    const replies = await Promise.all(
      Array.from({ length: 50 }, async (_, at) => {
        if (at % 5 !== 0)
          return send(port, { recipients: ["alice@two.test"], content: `Subject: refuse ${at % 2}\r\n\r\n${at}\r\n` });
        const client = await introduce(port);
        await client.say("MAIL FROM:<a@client.test>");
        await client.say("RCPT TO:<alice@two.test>");
        await client.say("DATA");
        client.write("Subject: refuse 0\r\n\r\nhalf a message");
        client.hangUp();
        return "gone";
      }),
    );
    expect(replies.filter((reply) => reply.startsWith("250"))).toHaveLength(20);
    expect(replies.filter((reply) => reply === "550 5.7.1 refused")).toHaveLength(20);
    const mails = await waitForMail(postfix.maildir("@two.test"), 20);
    expect(mails.every(({ raw }) => raw.includes("X-Scanned: odd"))).toBe(true);

    const line = `${"x".repeat(70)}\r\n`;
    // With all that Postfix would add itself.
    const fields = ["From: a@client.test", "Date: Mon, 23 Nov 2026 07:00:00 +0000", "Message-ID: <1@client.test>"];
    const large = [...fields, "Subject: large", "", line.repeat(100_000)].join("\r\n");
    expect(await send(port, { content: large, recipients: ["bob@three.test"] })).toMatch(/^250/);
    const [stored] = await waitForMail(postfix.maildir("@three.test"));
    expect(stored?.raw.toString().match(/^X-.*/gm)?.slice(-2)).toEqual(["X-Scanned: odd", `X-Size: ${large.length}`]);
    // Every connection is let go with its client.
    const count = (what: RegExp): number => serving.log().match(what)?.length ?? 0;
    await until(() => count(/^disconnect from/gm) >= 51 && count(/^disconnect from/gm) === count(/^connect from/gm));
  });

  test("a unix socket with its rights, two addresses, and what is left behind by a killed one", async () => {
    using folder = temporaryFolder();
    const options = {
      folder: folder.path,
      args: ["--listen", `unix:${socket}`, "--mode", "0666"],
      plugin: odd,
    };
    const first = await startServing(options);
    expect(statSync(socket).mode & 0o777).toBe(0o666);
    await first.kill();
    await using serving = await startServing(options);
    expect(
      await send(postfix.ports.unix, { recipients: ["alice@one.test"], content: "Subject: refuse 1\r\n\r\nx\r\n" }),
    ).toBe("550 5.7.1 refused");
    // Somebody answers there.
    const args = ["serve", "milter", "--plugin", "./plugin.ts", "--listen", `unix:${socket}`];
    const second = await run(process.execPath, ["--conditions=@postern/source", command, ...args], {
      cwd: folder.path,
    });
    expect(second.status).toBe(69);
    expect(second.stderr).toContain(`cannot listen on unix:${socket}: it is in use`);
    expect(
      await send(postfix.ports.unix, { recipients: ["alice@one.test"], content: "Subject: refuse 1\r\n\r\nx\r\n" }),
    ).toBe("550 5.7.1 refused");
    expect(serving.log()).not.toContain("unexpected");
  });
});

const odd = `
import { definePlugin, reject } from "@postern/core";
import { z } from "zod";
export default definePlugin({
  name: "odd",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    gateway.hooks.smtp.rcpt.tap(({ address }) => {
      if (address.startsWith("throw@")) throw new Error("thrown");
    });
    gateway.scanner({
      name: "odd",
      description: "for tests",
      onError: "defer",
      deadlineMs: 2000,
      async scan({ message, signal }) {
        const subject = message.headers.get("subject")?.value ?? "";
        if (subject === "throw") throw new Error("thrown");
        if (subject === "rubbish") return 7 as never;
        if (subject === "refuse 1") return reject("refused");
        if (subject.startsWith("for ")) {
          gateway.log.info(\`scanning \${subject}\`);
          await new Promise((resolve) => setTimeout(resolve, 1000 * Number(subject.slice(4))).unref());
        }
        return [
          { kind: "prepend", name: "X-Scanned", value: "odd" },
          { kind: "prepend", name: "X-Size", value: String(message.sizeBytes) },
        ];
      },
    });
  },
});
`;
