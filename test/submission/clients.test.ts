// Programs that others wrote log in over TLS and hand mail over; with a wrong password they do not.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { run, type Ended } from "../e2e/run.ts";
import { describeWith } from "../services/describe-with.ts";
import { readMaildir, waitForMail } from "../services/maildir.ts";
import { password, startSubmissionHost, user, type SubmissionHost } from "./submission.ts";

interface Sending {
  readonly host: SubmissionHost;
  /** TLS from the start, on 465. */
  readonly implicit: boolean;
  readonly password: string;
  readonly recipient: string;
  readonly file: string;
}

const python = `
import base64, smtplib, ssl, sys
port, implicit, cert, user, password, recipient, file = sys.argv[1:]
context = ssl.create_default_context(cafile=cert)
if implicit == "1":
    smtp = smtplib.SMTP_SSL("127.0.0.1", int(port), local_hostname="client.test", context=context)
else:
    smtp = smtplib.SMTP("127.0.0.1", int(port), local_hostname="client.test")
    smtp.starttls(context=context)
smtp.ehlo()
# Its login() sends ASCII alone.
code, text = smtp.docmd("AUTH", "PLAIN " + base64.b64encode(f"\\0{user}\\0{password}".encode()).decode())
if code != 235: sys.exit(f"{code} {text.decode()}")
smtp.sendmail(user, [recipient], open(file, "rb").read())
smtp.quit()
`;

const swaks =
  (mechanism: string) =>
  ({ host, implicit, password: secret, recipient, file }: Sending): Promise<Ended> =>
    run("swaks", [
      "--server",
      `127.0.0.1:${implicit ? host.submissions : host.submission}`,
      implicit ? "--tls-on-connect" : "--tls",
      "--tls-verify",
      "--tls-ca-path",
      host.cert,
      "--auth",
      mechanism,
      "--auth-user",
      user,
      "--auth-password",
      secret,
      "-f",
      user,
      "-t",
      recipient,
      "-d",
      `@${file}`,
    ]);

const clients: {
  readonly name: string;
  readonly program: string;
  readonly send: (sending: Sending) => Promise<Ended>;
  /** What it says to a wrong password. */
  readonly refused: RegExp;
}[] = [
  { name: "swaks, PLAIN", program: "swaks", send: swaks("PLAIN"), refused: /535 5\.7\.8 Authentication failed/ },
  { name: "swaks, LOGIN", program: "swaks", send: swaks("LOGIN"), refused: /535 5\.7\.8 Authentication failed/ },
  {
    name: "Python's smtplib",
    program: "python3",
    send: ({ host, implicit, password: secret, recipient, file }) =>
      run("python3", [
        "-c",
        python,
        String(implicit ? host.submissions : host.submission),
        implicit ? "1" : "0",
        host.cert,
        user,
        secret,
        recipient,
        file,
      ]),
    refused: /535 5\.7\.8 Authentication failed/,
  },
  {
    name: "curl",
    program: "curl",
    send: ({ host, implicit, password: secret, recipient, file }) =>
      run("curl", [
        "-sS",
        `${implicit ? "smtps" : "smtp"}://127.0.0.1:${implicit ? host.submissions : host.submission}`,
        "--ssl-reqd",
        "--cacert",
        host.cert,
        "--user",
        `${user}:${secret}`,
        "--mail-from",
        user,
        "--mail-rcpt",
        recipient,
        "--upload-file",
        file,
      ]),
    refused: /Login denied|535/,
  },
  {
    name: "msmtp",
    program: "msmtp",
    send: ({ host, implicit, password: secret, recipient }) =>
      run(
        "msmtp",
        [
          "--host=127.0.0.1",
          `--port=${implicit ? host.submissions : host.submission}`,
          "--tls=on",
          `--tls-starttls=${implicit ? "off" : "on"}`,
          `--tls-trust-file=${host.cert}`,
          "--auth=on",
          `--user=${user}`,
          "--passwordeval=printenv MSMTP_PASSWORD",
          `--from=${user}`,
          recipient,
        ],
        { input: "Subject: hello\r\n\r\nhello\r\n", env: { ...process.env, MSMTP_PASSWORD: secret } },
      ),
    refused: /535 5\.7\.8 Authentication failed/,
  },
];

let started: Promise<SubmissionHost> | undefined;
afterAll(async () => (await started)?.[Symbol.asyncDispose]());

for (const [index, { name, program, send, refused }] of clients.entries()) {
  describeWith(["openssl", program], name, () => {
    let host: SubmissionHost;
    let file: string;
    beforeAll(async () => {
      host = await (started ??= startSubmissionHost());
      file = join(host.gateway.folder, "message.eml");
      writeFileSync(file, "Subject: hello\r\n\r\nhello\r\n");
    });

    it.each([
      ["587", false],
      ["465", true],
    ])("logs in on %s and its mail arrives, with the login in Received", async (port, implicit) => {
      const ended = await send({ host, implicit, password, recipient: `to-${index}-${port}@example.test`, file });
      expect(ended.status, ended.stdout + ended.stderr).toBe(0);
      const [mail] = await waitForMail(join(host.gateway.folder, `mail/example.test/to-${index}-${port}`));
      const text = mail?.raw.toString() ?? "";
      expect(text).toMatch(/\r?\n\tby mail\.example\.test with ESMTPSA id /);
      // Not for everybody's eyes.
      expect(text).not.toContain("Authenticated sender");
      expect(host.gateway.log()).toMatch(/sasl_method=(?:PLAIN|LOGIN), sasl_username=user@example\.test/);
    });

    it("is refused with a wrong password, and nothing arrives", async () => {
      const ended = await send({ host, implicit: false, password: "wrong", recipient: "no@example.test", file });
      expect(ended.status).not.toBe(0);
      expect(ended.stdout + ended.stderr).toMatch(refused);
      expect(readMaildir(join(host.gateway.folder, "mail/example.test/no"))).toEqual([]);
      const log = host.gateway.log();
      expect(log).toMatch(
        /\[127\.0\.0\.1\]: SASL (?:PLAIN|LOGIN) authentication failed: .*sasl_username=user@example\.test/,
      );
      expect(log).not.toMatch(/wrong|pass w/);
    });
  });
}
