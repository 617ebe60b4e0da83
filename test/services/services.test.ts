// Each starter starts the real thing, finds it working, and leaves nothing behind.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import {
  ask,
  describeWith,
  eicar,
  eicarName,
  makeCertificate,
  programPath,
  runSmtpSource,
  startClamd,
  startPostfix,
  startPostfixRelay,
  startService,
  startSmtpSink,
  temporaryFolder,
  waitForMail,
} from "./index.ts";

const openFolders: Disposable[] = [];
afterEach(() => {
  for (const folder of openFolders.splice(0)) folder[Symbol.dispose]();
});

function newFolder(): string {
  const folder = temporaryFolder();
  openFolders.push(folder);
  return folder.path;
}

/** Ids of the processes that have this text in their arguments. */
function processesWith(text: string): string[] {
  const lines = execFileSync("ps", ["-eo", "pid=,stat=,args="], { encoding: "utf8" }).split("\n");
  return lines.filter((line) => line.includes(text) && !/^\s*\d+ Z/.test(line));
}

/** One INSTREAM of clamd's protocol. */
function instream(content: Buffer): string {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([Buffer.from("zINSTREAM\0"), length, content, Buffer.alloc(4)]).toString("latin1");
}

describeWith(["clamd"], "clamd", () => {
  test("finds EICAR, refuses what is too long, stands still when paused, is gone when stopped", async () => {
    const folder = newFolder();
    await using clamd = await startClamd({ folder, streamMaxBytes: 4096 });
    expect(await ask(clamd.socket, instream(Buffer.from("hello")))).toBe("stream: OK\0");
    expect(await ask(clamd.port, instream(Buffer.from(`before ${eicar} after`)))).toBe(`stream: ${eicarName} FOUND\0`);
    expect(await ask(clamd.port, instream(Buffer.alloc(4097, "a")))).toMatch(/^INSTREAM size limit exceeded/);

    await clamd.pause();
    await expect(ask(clamd.port, "zPING\0", 300)).rejects.toThrow("no answer");
    clamd.resume();
    expect(await ask(clamd.port, "zPING\0")).toBe("PONG\0");

    await clamd.pause();
    await clamd.stop();
    await expect(ask(clamd.port, "zPING\0")).rejects.toThrow("ECONNREFUSED");
    expect(processesWith(folder)).toEqual([]);

    await using again = await startClamd({ folder, port: clamd.port });
    expect(await ask(again.port, "zPING\0")).toBe("PONG\0");
    await again.kill();
    await expect(ask(again.port, "zPING\0")).rejects.toThrow("ECONNREFUSED");
  });
});

describeWith(["root", "postfix", "smtp-source", "openssl"], "postfix", () => {
  test("stores mail in Maildirs, refuses unknown boxes, leaves no process", async () => {
    const folder = newFolder();
    await using peer = await startPostfix({ folder, mailboxes: ["alice@example.test", "@down.test"], tls: true });
    const { port } = peer;
    expect(await runSmtpSource({ port, messages: 3, sessions: 2 })).toMatchObject({ status: 0 });
    expect(await waitForMail(peer.maildir("alice@example.test"), 3)).toHaveLength(3);
    expect(await runSmtpSource({ port, recipient: "anybody@down.test" })).toMatchObject({ status: 0 });
    const [mail] = await waitForMail(peer.maildir("@down.test"));
    expect(mail?.raw.toString()).toMatch(
      /^Return-Path: <sender@source.test>\n(?:.*\n)*Delivered-To: anybody@down.test/,
    );
    expect((await runSmtpSource({ port, recipient: "bob@example.test" })).errors).toContain("550 5.1.1");
    await expect.poll(() => peer.mailLog()).toContain("status=sent");
    const trust = ["-verify_return_error", "-CAfile", peer.certificate ?? ""];
    const hello = spawnSync(
      programPath("openssl"),
      ["s_client", "-brief", "-starttls", "smtp", ...trust, "-connect", `127.0.0.1:${port}`],
      { input: "QUIT\r\n", encoding: "utf8" },
    );
    expect(hello).toMatchObject({ status: 0, stderr: expect.stringContaining("Verification: OK") });
    await peer.stop();
    expect(processesWith(folder)).toEqual([]);
    await expect(ask(port, "QUIT\r\n")).rejects.toThrow("ECONNREFUSED");
  });

  test("relays as packaged to a sink, and keeps mail when the sink is gone", async () => {
    const folder = newFolder();
    await using sink = await startSmtpSink({ folder, keep: true });
    await using relay = await startPostfixRelay({ folder, relayhost: `[127.0.0.1]:${sink.port}` });
    const source = { port: relay.port, recipient: "someone@elsewhere.test" };
    expect(await runSmtpSource({ ...source, messages: 5, sessions: 5, bodyBytes: 2000 })).toMatchObject({ status: 0 });
    await expect.poll(() => sink.count()).toBe(5);
    expect(sink.messages()).toHaveLength(5);
    expect(sink.messages()[0]).toContain("<someone@elsewhere.test>");

    await sink.stop();
    expect(await runSmtpSource(source)).toMatchObject({ status: 0 });
    await expect.poll(() => relay.mailLog()).toContain("status=deferred");
    expect(relay.queueIds()).toHaveLength(1);
    await relay.kill();
    expect(processesWith(folder)).toEqual([]);
  });
});

describeWith(["smtp-sink", "smtp-source"], "smtp-sink and smtp-source", () => {
  test("exchange mail without root's rights or Postfix's daemons", async () => {
    await using sink = await startSmtpSink({ folder: newFolder(), args: ["-r", "MAIL"] });
    expect((await runSmtpSource({ port: sink.port })).errors).toContain("450 4.3.0");
    expect(sink.count()).toBe(0);
  });
});

describeWith(["openssl"], "certificate", () => {
  test("is made with its key", () => {
    const { cert, key } = makeCertificate(newFolder(), ["mx.example.test"]);
    expect([cert, key].map(existsSync)).toEqual([true, true]);
  });
});

test("a service that ends at once is told with its own words", async () => {
  const logFile = `${newFolder()}/log`;
  const start = startService("/bin/sh", ["-c", "echo no such luck >&2; exit 3"], {
    logFile,
    ready: () => Promise.reject(new Error("never")),
  });
  await expect(start).rejects.toThrow(/ended with status 3\nno such luck/);
});
