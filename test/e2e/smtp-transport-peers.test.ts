// The smtp transport against servers nobody here wrote: a real Postfix with STARTTLS, and smtp-sink in its moods.
import {
  createMemoryBlob,
  createStaticResolver,
  systemClock,
  type Gateway,
  type Outcome,
  type Transport,
} from "@postern/core";
import { expect, test } from "vitest";
import { describeWith, startPostfix, startSmtpSink, temporaryFolder, waitForMail } from "../services/index.ts";

// As the plugin host loads it.
const { default: smtp } = await import("@postern/plugin-transport-smtp");

function createTransport(): Transport {
  let made: Transport | undefined;
  const gateway: Partial<Gateway> = {
    name: "smtp",
    hostname: "gateway.example.test",
    clock: systemClock,
    dns: createStaticResolver({}),
    log: { debug: () => {}, info: () => {}, warn: () => {} },
    routing: { relayhost: undefined, isOwnAddress: () => false, isOwnEndpoint: () => false },
    transport: (transport) => (made = transport),
    provide: () => undefined,
  };
  void smtp.setup(gateway as Gateway, smtp.options.parse({}));
  if (made === undefined) throw new Error("the plugin registered no transport");
  return made;
}

async function send(transport: Transport, port: number, text: string, ...addresses: readonly string[]) {
  const outcomes = new Map<string, Outcome>();
  await transport.deliver(
    {
      id: "M1",
      envelope: { sender: "from@gateway.example.test", body: "8bitmime", smtputf8: false },
      recipients: addresses.map((address) => ({ address, original: address, notify: ["failure"] })),
      route: { transport: "smtp", nextHop: `[127.0.0.1]:${port}` },
      content: createMemoryBlob([Buffer.from(text)]),
      more: false,
    },
    { settle: ({ address }, outcome) => outcomes.set(address, outcome), signal: new AbortController().signal },
  );
  return outcomes;
}

const text = "Subject: dots and ü\r\n\r\n.\r\n..\r\n.x\r\n\r\nlast line\r\n";

describeWith(["postfix", "root"], "the smtp transport and Postfix", () => {
  test("delivers by TLS, octets unchanged, and tells a known recipient from an unknown one", async () => {
    using folder = temporaryFolder();
    await using postfix = await startPostfix({ folder: folder.path, mailboxes: ["joe@example.test"], tls: true });
    const transport = createTransport();
    const outcomes = await send(transport, postfix.port, text, "joe@example.test", "nobody@example.test");
    expect(outcomes.get("joe@example.test")).toMatchObject({
      status: "delivered",
      text: expect.stringMatching(/^250 2\.0\.0 Ok: queued as /),
      tls: expect.stringMatching(/^TLSv1\.[23] /),
      dsn: "passed",
    });
    expect(outcomes.get("nobody@example.test")).toMatchObject({
      status: "bounced",
      enhanced: "5.1.1",
      inReplyTo: "RCPT TO",
    });
    const [mail] = await waitForMail(postfix.maildir("joe@example.test"));
    // Postfix adds header fields at the end of the header, and its Maildir has LF.
    const stored = mail?.raw.toString() ?? "";
    const [subject = "", body] = text.replaceAll("\r\n", "\n").split(/\n(\n[^]*)/);
    expect(stored).toContain(`\n${subject}\n`);
    expect(stored.slice(stored.indexOf("\n\n") + 1)).toBe(body);
    await transport.close();
  });
});

describeWith(["smtp-sink"], "the smtp transport and smtp-sink", () => {
  const moods: readonly [what: string, args: readonly string[], status: string][] = [
    ["takes everything", [], "delivered"],
    ["knows HELO alone", ["-e"], "delivered"],
    ["has no PIPELINING", ["-p"], "delivered"],
    ["refuses RCPT for good", ["-f", "RCPT"], "bounced"],
    ["refuses DATA for now", ["-r", "DATA"], "deferred"],
    ["refuses the message for now", ["-r", "."], "deferred"],
    ["hangs up at MAIL", ["-q", "MAIL"], "deferred"],
    ["hangs up after the dot", ["-q", "."], "deferred"],
  ];
  test.each(moods)("that %s", async (_what, args, status) => {
    using folder = temporaryFolder();
    await using sink = await startSmtpSink({ folder: folder.path, keep: true, args });
    const transport = createTransport();
    for (let round = 0; round < 2; round += 1) {
      const plain = text.replace("ü", "u");
      expect((await send(transport, sink.port, plain, "a@example.test")).get("a@example.test")?.status).toBe(status);
    }
    if (status === "delivered") {
      const kept = sink.messages();
      expect(kept).toHaveLength(2);
      for (const message of kept) expect(message.trimEnd().endsWith("\n\n.\n..\n.x\n\nlast line")).toBe(true);
    }
    await transport.close();
  });
});
