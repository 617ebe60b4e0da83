// A submission host: 587 and 465 over TLS, a table of passwords, a table of who may send as whom, mail to Maildirs.
import { hashPassword } from "@postern/plugin-auth";
import { startGateway, type Config, type GatewayProcess } from "../e2e/gateway.ts";
import { makeCertificate } from "../services/certificate.ts";
import { temporaryFolder } from "../services/folder.ts";
import { freePort } from "../services/ports.ts";

export interface SubmissionHost extends AsyncDisposable {
  readonly gateway: GatewayProcess;
  /** Port 587 of this host. */
  readonly submission: number;
  /** Port 465. */
  readonly submissions: number;
  /** The certificate's file, its own authority; its name is mail.example.test and 127.0.0.1. */
  readonly cert: string;
}

export const user = "user@example.test";
export const password = "pass wörd?";

/** `config` goes over the whole, `policy` over that of 465's listener; no login is held back. */
export async function startSubmissionHost(
  config: Config = {},
  policy: object = {},
  failures: object = {},
): Promise<SubmissionHost> {
  const folder = temporaryFolder();
  const { key, cert } = makeCertificate(folder.path, ["mail.example.test"]);
  const [port, submission, submissions] = [await freePort(), await freePort(), await freePort()];
  const cheap = hashPassword(password, "scrypt", "scrypt ln=8,r=8,p=1");
  const gateway = await startGateway({
    port,
    config: {
      hostname: "mail.example.test",
      // Nobody is trusted for where he comes from.
      networks: [],
      tls: { key, cert },
      domains: { virtualMailbox: ["example.test"] },
      listeners: [
        { host: "127.0.0.1", port },
        { host: "127.0.0.1", port: submission, profile: "submission" },
        { host: "127.0.0.1", port: submissions, profile: "submissions", policy },
      ],
      plugins: [
        ["@postern/plugin-access", { senderLogins: "texthash:./logins" }],
        [
          "@postern/plugin-auth",
          { passwords: "texthash:./passwords", failures: { delay: "0s", longestDelay: "0s", ...failures } },
        ],
        ["@postern/plugin-transport-maildir", { directory: "./mail" }],
        "@postern/plugin-transport-smtp",
      ],
      ...config,
    },
    files: {
      passwords: `${user}\t${cheap}\nother@example.test\t${cheap}\n`,
      logins: `${user} ${user}\nother@example.test other@example.test\n`,
    },
  });
  return {
    gateway,
    submission,
    submissions,
    cert,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}
