// Mail from programs that others wrote, to a Maildir: the octets arrive as they were sent.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { waitForMail } from "../services/maildir.ts";
import { describeWith } from "../services/describe-with.ts";
import { startGateway, type GatewayProcess } from "./gateway.ts";
import { sender, trickyMessage, withoutTrace } from "./mail.ts";
import { run, type Ended } from "./run.ts";

interface Sending {
  readonly port: number;
  readonly recipient: string;
  readonly message: Buffer;
  /** `message` as a file. */
  readonly file: string;
}

const pythonSend = `
import smtplib, sys
port, sender, recipient, file = sys.argv[1:]
with smtplib.SMTP("127.0.0.1", int(port), local_hostname="client.source.test") as smtp:
    smtp.sendmail(sender, [recipient], open(file, "rb").read(), mail_options=["BODY=8BITMIME"])
`;

const clients: {
  readonly program: string;
  /** What to put into the file, for this to be sent. */
  readonly prepare?: (message: Buffer) => Buffer;
  readonly send: (sending: Sending) => Promise<Ended>;
}[] = [
  {
    program: "swaks",
    // It puts a line end of its own behind what it reads.
    prepare: (message) => message.subarray(0, -2),
    send: ({ port, recipient, file }) =>
      run("swaks", [
        "--server",
        `127.0.0.1:${port}`,
        "-f",
        sender,
        "-t",
        recipient,
        "-d",
        `@${file}`,
        "--suppress-data",
      ]),
  },
  {
    program: "python3",
    send: ({ port, recipient, file }) => run("python3", ["-c", pythonSend, String(port), sender, recipient, file]),
  },
  {
    program: "curl",
    send: ({ port, recipient, file }) =>
      run("curl", [
        "-sS",
        `smtp://127.0.0.1:${port}/client.source.test`,
        "--mail-from",
        sender,
        "--mail-rcpt",
        recipient,
        "--upload-file",
        file,
      ]),
  },
  {
    program: "msmtp",
    send: ({ port, recipient, message }) =>
      run(
        "msmtp",
        ["--host=127.0.0.1", `--port=${port}`, "--domain=client.source.test", `--from=${sender}`, recipient],
        {
          input: message,
        },
      ),
  },
];

describeWith(["swaks", "python3", "curl", "msmtp"], "clients", () => {
  let gateway: GatewayProcess;

  beforeAll(async () => {
    gateway = await startGateway({
      config: {
        domains: { virtualMailbox: ["example.test"] },
        plugins: ["@postern/plugin-access", ["@postern/plugin-transport-maildir", { directory: "./mail" }]],
      },
    });
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  it.each(clients)("$program: octets arrive unchanged", async ({ program, send, prepare }) => {
    const recipient = `${program}@example.test`;
    const message = trickyMessage(`from ${program}`, recipient);
    const file = join(gateway.folder, `${program}.eml`);
    writeFileSync(file, prepare?.(message) ?? message);

    const ended = await send({ port: gateway.port, recipient, message, file });
    expect(ended, ended.stderr).toMatchObject({ status: 0 });

    const [mail] = await waitForMail(join(gateway.folder, "mail/example.test", program));
    const raw = mail?.raw ?? Buffer.alloc(0);
    expect(withoutTrace(raw).toString("latin1")).toBe(message.toString("latin1"));
    const text = raw.toString("latin1");
    expect(text).toMatch(new RegExp(`^Return-Path: <${sender}>\\r?\\n`, "m"));
    expect(text).toMatch(new RegExp(`^Delivered-To: ${recipient}\\r?\\n`, "m"));
    expect(text).toMatch(
      /^Received: from \S+ \(\S+ \[127\.0\.0\.1\]\)\s+by mx\.example\.test with E?SMTP\S*\s+id \w+/m,
    );
  });
});
