/** What `start` says once it listens. */
import { relative } from "node:path";
import type { ResolvedConfig } from "@postern/core";
import { embeddedDomain } from "./embedded.ts";
import { version } from "./version.ts";

export interface Listening {
  readonly host: string;
  readonly port: number;
}

export function formatAddress({ host, port }: Listening): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

export function startedText(config: ResolvedConfig, listeners: readonly Listening[], isEmbedded: boolean): string {
  const addresses = listeners.map(formatAddress).join(", ");
  if (!isEmbedded) return `Postern ${version} listens on ${addresses} (${config.file})\n`;
  const near = (path: string): string => relative(process.cwd(), path) || ".";
  return `Postern ${version}, embedded defaults
  listens on   ${addresses}
  mail         for ${embeddedDomain} goes to Maildirs under var/mail/
  queue        ${near(config.queue.directory)}
Send a first message from another terminal:
  ${firstMessage(listeners[0] ?? { host: "127.0.0.1", port: 2525 })}
Ctrl-C ends it.
`;
}

/** curl is everywhere; lines end in CRLF, as SMTP has it. */
export function firstMessage(listener: Listening): string {
  return (
    `printf 'Subject: Hello\\r\\n\\r\\nHello from a gateway.\\r\\n' | curl -sS smtp://${formatAddress(listener)}/localhost` +
    ` --mail-from you@example.org --mail-rcpt me@${embeddedDomain} --upload-file -`
  );
}
