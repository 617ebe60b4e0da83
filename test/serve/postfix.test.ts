// A real Postfix asks plugins of ours by `postern serve milter`: greylist, clamd, and a plugin that changes all that can be changed.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../e2e/until.ts";
import {
  describeWith,
  eicar,
  eicarName,
  freePort,
  startClamd,
  temporaryFolder,
  waitForMail,
} from "../services/index.ts";
import { readMaildir } from "../services/maildir.ts";
import { introduce, send, startAsking, startServing, type Asking } from "./serving.ts";

const plain = (lines: readonly string[]): string => [...lines, ""].join("\r\n");

describeWith(["root", "postfix", "clamd"], "a Postfix with plugins of ours", () => {
  const home = temporaryFolder();
  let postfix: Asking<"guarded" | "edited" | "staged">;
  const served = { guarded: 0, edited: 0, staged: 0 };
  beforeAll(async () => {
    for (const name of ["guarded", "edited", "staged"] as const) served[name] = await freePort();
    const milter = (name: keyof typeof served) => [`inet:127.0.0.1:${served[name]}`] as const;
    postfix = await startAsking(home.path, ["guarded.test", "other.test", "away.test", "aside.test", "staged.test"], {
      guarded: milter("guarded"),
      edited: milter("edited"),
      staged: milter("staged"),
    });
  });
  afterAll(async () => {
    await postfix.stop();
    home[Symbol.dispose]();
  });

  test("the greylist puts a stranger off and knows it again after a restart; clamd refuses EICAR", async () => {
    using folder = temporaryFolder();
    await using clamd = await startClamd({ folder: folder.path });
    const args = [
      "--plugin",
      '@postern/plugin-greylist={"delay":"1s"}',
      "--plugin",
      `@postern/plugin-av-clamd=${JSON.stringify({ address: `unix:${clamd.socket}`, onInfected: "reject", onError: "defer" })}`,
    ];
    const to = { recipients: ["alice@guarded.test"] };
    const first = await startServing({ folder: folder.path, args, port: served.guarded });
    expect(await send(postfix.ports.guarded, to)).toMatch(/^450 4\.7\.1 .*[Gg]reylisted/);
    // Lines of the log leave together, a turn later.
    await until(() => first.log().includes("word=<greylist>"));
    expect(first.log()).toMatch(/NOQUEUE: reject: RCPT from mx\.client\.test\[192\.0\.2\.7\]: 450 4\.7\.1 /);
    await first.stop();
    await using serving = await startServing({ folder: folder.path, args, port: first.port });
    await delay(1_000);
    expect(await send(postfix.ports.guarded, to)).toMatch(/^250 2\.0\.0 /);
    const [mail] = await waitForMail(postfix.maildir("@guarded.test"));
    expect(mail?.raw.toString()).toMatch(/^X-Greylist: delayed/m);

    expect(await send(postfix.ports.guarded, { ...to, content: `Subject: x\r\n\r\n${eicar}\r\n` })).toMatch(
      new RegExp(`^550 5\\.7\\.1 .*${eicarName.replaceAll(".", "\\.")}`),
    );
    await until(() => serving.log().includes(": reject: END-OF-MESSAGE from mx.client.test[192.0.2.7]: 550 5.7.1"));
    await clamd.kill();
    expect(await send(postfix.ports.guarded, to)).toMatch(/^4\d\d 4\./);
    expect(readMaildir(postfix.maildir("@guarded.test"))).toHaveLength(1);
  });

  test("edits of every kind arrive as they are meant", async () => {
    using folder = temporaryFolder();
    await using serving = await startServing({
      folder: folder.path,
      port: served.edited,
      plugin: editor,
    });
    const content = plain([
      "X-Two: one",
      "Received: from somewhere.test by elsewhere.test; Mon, 23 Nov 2026 07:00:00 +0000",
      "From: from@client.test",
      "Subject: a subject",
      "X-Gone: 1",
      "X-Two: two",
      "X-Folded: first",
      "\tsecond",
      "X-Gone: 2",
      "Message-ID: <1@client.test>",
      "Date: Mon, 23 Nov 2026 07:00:00 +0000",
      "",
      "the body",
    ]);
    const cases: readonly (readonly [edits: string, expected: (given: string) => string])[] = [
      ["none", (given) => given],
      ["prepend", (given) => `X-New: v 100% sure\r\n${given}`],
      ["append", (given) => given.replace("\r\n\r\n", "\r\nX-New: v 100% sure\r\n\r\n")],
      ["insert", (given) => given.replace("From:", "X-New: v 100% sure\r\nFrom:")],
      ["replace", (given) => given.replace("X-Two: two", "x-two: 2")],
      ["fold", (given) => given.replace("X-Two: two", "X-Two: 2\r\n\tand more")],
      ["delete", (given) => given.replace(/X-Gone: \d\r\n/g, "")],
      ["body", (given) => given.replace(/\r\n\r\n.*$/s, "\r\n\r\nanother\r\nbody\r\n")],
      ["splice", (given) => given.replace("the body", "THE body")],
      ["empty", (given) => given.replace(/\r\n\r\n.*$/s, "\r\n\r\n")],
      [
        "everything",
        (given) =>
          `X-New: v 100% sure\r\n${given}`
            .replace(/X-Gone: \d\r\n/g, "")
            .replace("X-Two: two", "x-two: 2")
            .replace(/\r\n\r\n.*$/s, "\r\n\r\nanother\r\nbody\r\n"),
      ],
    ];
    const box = postfix.maildir("@other.test");
    for (const [at, [edits, expected]] of cases.entries()) {
      const recipients = [`${edits}@other.test`];
      expect(await send(postfix.ports.edited, { recipients, content }), edits).toMatch(/^250 /);
      await waitForMail(box, at + 1);
      const mail = readMaildir(box).find(({ raw }) => raw.includes(`Delivered-To: ${edits}@`));
      // What Postfix itself puts on top: Return-Path, X-Original-To, Delivered-To, its Received.
      const text = mail?.raw.toString("latin1").replace(/^.*?\tfor <[^>]*>; [^\n]*\n/s, "") ?? "";
      expect(text.replaceAll("\n", "\r\n"), edits).toBe(expected(content));
    }

    const envelope = async (edits: string, recipients = ["alice@away.test"]) => {
      const before = readMaildir(postfix.maildir("@aside.test")).length;
      expect(
        await send(postfix.ports.edited, {
          recipients,
          content: `Subject: ${edits}\r\n\r\nx\r\n`,
        }),
      ).toMatch(/^250/);
      const mails = await waitForMail(postfix.maildir("@aside.test"), before + 1);
      return mails.find(({ raw }) => raw.includes(`Subject: ${edits}`))?.raw.toString() ?? "";
    };
    // Two recipients for Postfix, which adds what they want to hear of; one for the plugin.
    const ways = ["alice@away.test", "<alice@AWAY.test> NOTIFY=FAILURE"];
    expect(await envelope("redirect", ways)).toContain("Return-Path: <from@client.test>");
    expect(await envelope("bcc")).toContain("Delivered-To: bob@aside.test");
    expect(await envelope("sender")).toContain("Return-Path: <changed@client.test>");
    const alice = readMaildir(postfix.maildir("@away.test")).map(
      ({ raw }) => /^Subject: (.*)$/m.exec(raw.toString())?.[1],
    );
    expect(alice).toEqual(["bcc"]);

    const recipients = ["alice@away.test"];
    // Held in Postfix's own queue, and dropped.
    expect(await send(postfix.ports.edited, { recipients, content: "Subject: quarantine\r\n\r\nx\r\n" })).toMatch(
      /^250/,
    );
    expect(await send(postfix.ports.edited, { recipients, content: "Subject: hold\r\n\r\nx\r\n" })).toMatch(/^250/);
    await until(() => postfix.queueIds().length === 2);
    // Postfix tells nobody why; its log comes by a process of its own.
    await until(() => postfix.mailLog().match(/milter-hold: END-OF-MESSAGE/g)?.length === 2);
    expect(serving.log().match(/: quarantine: END-OF-MESSAGE from .*: not wanted/g)).toHaveLength(2);
    expect(await send(postfix.ports.edited, { recipients, content: "Subject: discard\r\n\r\nx\r\n" })).toMatch(/^250/);
    await until(() => postfix.mailLog().includes("milter-discard:"));
    // What a milter cannot do is put off, and said in the log.
    expect(await send(postfix.ports.edited, { recipients, content: "Subject: filter\r\n\r\nx\r\n" })).toMatch(
      /^451 4\.3\.5/,
    );
    await until(() =>
      serving.log().includes("filter smtp:[192.0.2.1]: a mail server that asks has no transports of ours"),
    );
    expect(await send(postfix.ports.edited, { recipients, content: "Subject: lines\r\n\r\nx\r\n" })).toBe(
      "550-5.7.1 one 50%\n550 5.7.1 two",
    );
    expect(readMaildir(postfix.maildir("@away.test"))).toHaveLength(1);
  });

  test("each stage's refusal stands at its own command, with what Postfix tells of the session", async () => {
    using folder = temporaryFolder();
    await using _serving = await startServing({
      folder: folder.path,
      port: served.staged,
      plugin: stages,
    });
    const port = postfix.ports.staged;
    const bad = await introduce(port, "bad.helo.test");
    expect(await bad.say("MAIL FROM:<a@b.test>")).toBe("550 5.7.1 helo bad.helo.test of mx.client.test[192.0.2.7]");
    bad.hangUp();
    const client = await introduce(port);
    expect(await client.say("MAIL FROM:<bad@b.test>")).toBe("550 5.7.1 mail bad@b.test");
    expect(await client.say("MAIL FROM:<good@b.test> SIZE=100 BODY=8BITMIME")).toMatch(/^250/);
    expect(await client.say("RCPT TO:<bad@staged.test>")).toBe("451 4.7.1 rcpt bad@staged.test");
    expect(await client.say("RCPT TO:<data@staged.test>")).toMatch(/^250/);
    expect(await client.say("DATA")).toBe("554 5.7.1 data for 1 of 100 octets, 8bitmime");
    expect(await client.say("RSET")).toMatch(/^250/);
    // Postfix tells of the verb alone.
    expect(await client.say("NONSENSE here")).toBe("500 5.5.1 unknown NONSENSE");
    expect(await client.say("MAIL FROM:<>")).toMatch(/^250/);
    expect(await client.say("RCPT TO:<alice@staged.test>")).toMatch(/^250/);
    expect(await client.data()).toMatch(/^250/);
    client.hangUp();
  });
});

/** What it does with a message stands in its recipient's local part or in its subject. */
const editor = `
import { definePlugin, defer, reject } from "@postern/core";
import { z } from "zod";
const value = "v 100% sure";
const edits: Record<string, any[]> = {
  prepend: [{ kind: "prependHeader", name: "X-New", value }],
  append: [{ kind: "appendHeader", name: "X-New", value }],
  insert: [{ kind: "insertHeader", index: 2, name: "X-New", value }],
  replace: [{ kind: "replaceHeader", name: "x-two", nth: 2, value: "2" }],
  fold: [{ kind: "replaceHeader", name: "X-Two", nth: 2, value: Buffer.from("2\\r\\n\\tand more") }],
  delete: [{ kind: "deleteHeader", name: "x-gone" }],
  body: [{ kind: "replaceBody", body: Buffer.from("another\\r\\nbody\\r\\n") }],
  splice: [{ kind: "spliceBody", start: 0, end: 3, octets: Buffer.from("THE") }],
  empty: [{ kind: "replaceBody", body: Buffer.alloc(0) }],
  sender: [{ kind: "changeSender", address: "changed@client.test" }, { kind: "removeRecipient", address: "alice@away.test" }, { kind: "addRecipient", address: "bob@aside.test" }],
};
edits.everything = [...edits.prepend, ...edits.replace, ...edits.delete, ...edits.body];
const effects: Record<string, any> = {
  redirect: { kind: "redirect", address: "bob@aside.test" },
  bcc: { kind: "bcc", address: "bob@aside.test" },
  quarantine: { kind: "quarantine", text: "not wanted" },
  hold: { kind: "hold", text: "not wanted" },
  discard: { kind: "discard", text: "not wanted" },
  filter: { kind: "filter", destination: "smtp:[192.0.2.1]" },
};
export default definePlugin({
  name: "edits",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    gateway.scanner({
      name: "edits",
      description: "for tests",
      onError: "defer",
      scan({ message }) {
        const subject = message.headers.get("subject")?.value ?? "";
        if (subject === "lines") return { kind: "reject", reply: { code: 550, enhanced: "5.7.1", text: "one 50%", more: ["two"] } };
        return effects[subject];
      },
    });
    gateway.hooks.smtp.modify.tap((message, transaction) => {
      const local = transaction.recipients[0].address.split("@")[0];
      return edits[local] ?? edits[message.headers.get("subject")?.value ?? ""];
    });
  },
});
`;

const stages = `
import { definePlugin, defer, reject } from "@postern/core";
import { z } from "zod";
export default definePlugin({
  name: "stages",
  apiVersion: 1,
  options: z.strictObject({}),
  setup({ hooks: { smtp } }) {
    smtp.helo.tap((name, { client }) => name.startsWith("bad") ? reject(\`helo \${name} of \${client.name}[\${client.address}]\`) : undefined);
    smtp.mail.tap((sender) => sender.startsWith("bad") ? reject(\`mail \${sender}\`) : undefined);
    smtp.rcpt.tap(({ address }) => address.startsWith("bad") ? defer(\`rcpt \${address}\`, "4.7.1", 451) : undefined);
    smtp.data.tap((t) => t.recipients[0].address.startsWith("data") ? reject(\`data for \${t.recipients.length} of \${t.declaredSizeBytes} octets, \${t.body}\`, "5.7.1", 554) : undefined);
    smtp.unknown.tap((line) => reject(\`unknown \${line}\`, "5.5.1", 500));
  },
});
`;
