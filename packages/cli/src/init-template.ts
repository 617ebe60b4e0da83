/** What `postern init` writes. It passes `check` as it is, and says what each part is for. */

export function configTemplate(hostname: string): string {
  return `// The gateway's config. \`npx postern check\` reads it without starting anything; \`npx postern start\` runs it.
// Every key with its default and meaning: \`npx postern config show\`, and docs/reference/config.md of the project.
import { defineConfig } from "@postern/core";

export default defineConfig({
  // Our name in the greeting, in EHLO and in Received.
  hostname: ${JSON.stringify(hostname)},

  // Clients that may send anywhere. Everybody else may send only to the domains below.
  networks: ["127.0.0.0/8", "::1/128"],

  // Domains that are ours: \`relay\` is passed on by SMTP, \`local\` and \`virtualMailbox\` go to the maildir transport.
  // A class can also be { domains: […], recipients: "texthash:./recipients" } to know who exists.
  domains: {
    virtualMailbox: ["example.test"],
    // relay: ["example.org"],
  },

  // Where SMTP is spoken. Port 25 needs a privileged user or the right to bind it.
  listeners: [{ host: "127.0.0.1", port: 2525 }],

  // STARTTLS is offered when there is a key, and never without.
  // tls: { key: "./tls/key.pem", cert: "./tls/cert.pem" },

  // Everything that has an opinion about mail is a plugin: a package, or a path from this folder. Options come second.
  plugins: [
    "@postern/plugin-access",
    "@postern/plugin-transport-smtp",
    ["@postern/plugin-transport-maildir", { directory: "./mail" }],
    // ["@postern/plugin-greylist", { delay: "5m" }],
    // ["@postern/plugin-av-clamd", { address: "unix:/run/clamav/clamd.ctl", onInfected: "reject", onError: "defer" }],
  ],

  // What is asked at each stage, in order; \`npx postern words\` lists the words. Nobody relays for strangers, whatever
  // stands here.
  policy: {
    rcpt: ["permit_mynetworks", "reject_unauth_destination"],
  },

  // Where all other mail goes, in place of the MX of its domain.
  // relayhost: "[mail.example.org]:587",

  // Mail is kept here until it is delivered or returned.
  queue: { directory: "./queue" },
});
`;
}
