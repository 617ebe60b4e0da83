/** The maildir transport: each recipient's copy is one file in the recipient's Maildir, with Return-Path and Delivered-To on top. */
import { join, resolve } from "node:path";
import {
  bounced,
  deferred,
  delivered,
  header,
  logText,
  type Clock,
  type DeliveryRequest,
  type Outcome,
  type PluginLog,
  type Recipient,
  type Transport,
} from "@postern/core";
import { createNameSource, nodeFiles, writeToMaildir, type FilePort } from "./maildir.ts";
import { mailboxPath } from "./mailbox-path.ts";

export interface MaildirScope {
  readonly name: string;
  readonly hostname: string;
  /** The config's folder. */
  readonly directory: string;
  readonly clock: Pick<Clock, "now">;
  readonly log: Pick<PluginLog, "warn">;
  readonly files?: FilePort;
}

export function createMaildirTransport({ directory }: { readonly directory: string }, scope: MaildirScope): Transport {
  const root = resolve(scope.directory, directory);
  const files = scope.files ?? nodeFiles;
  const nextName = createNameSource(() => scope.clock.now(), scope.hostname);

  async function store(request: DeliveryRequest, recipient: Recipient): Promise<Outcome> {
    const path = mailboxPath(recipient.address);
    if (path === undefined) return bounced("the address names no mailbox", { enhanced: "5.1.3" });
    const box = join(root, ...path);
    try {
      await writeToMaildir(files, box, nextName(), traceFields(request, recipient), request.content);
      return delivered("delivered to maildir");
    } catch (error) {
      // The path is for our log alone: the outcome's text may travel to the sender.
      scope.log.warn(`${request.id}: ${box}: ${logText(error instanceof Error ? error.message : error)}`);
      return failureOutcome(error);
    }
  }

  return {
    name: scope.name,
    description: "Delivers into Maildirs.",
    async deliver(request, controls) {
      await Promise.all(
        request.recipients.map(async (recipient) => {
          if (!controls.signal.aborted) controls.settle(recipient, await store(request, recipient));
        }),
      );
      return { destination: "alive" };
    },
    async close() {},
  };
}

/** RFC 5321 §4.4: final delivery keeps the reverse-path. */
function traceFields({ envelope }: DeliveryRequest, { address }: Recipient): string {
  const options = { utf8: true };
  return header("Return-Path", `<${envelope.sender}>`, options) + header("Delivered-To", address, options);
}

const failures: Readonly<Record<string, readonly [enhanced: string, text: string]>> = {
  ENOSPC: ["4.3.1", "mail system full"],
  EDQUOT: ["4.2.2", "mailbox full"],
  EACCES: ["4.2.0", "mailbox not accessible"],
  EPERM: ["4.2.0", "mailbox not accessible"],
  EROFS: ["4.3.0", "mail system not accepting mail"],
};

/** Whatever it is, it may pass. */
function failureOutcome(error: unknown): Outcome {
  const [enhanced, text] = failures[(error as NodeJS.ErrnoException | undefined)?.code ?? ""] ?? [
    "4.3.0",
    "cannot write to the mailbox",
  ];
  return deferred(text, { enhanced });
}
