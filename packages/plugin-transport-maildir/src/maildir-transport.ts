/** The maildir transport: each recipient's copy is one file in the recipient's Maildir, with Return-Path, X-Original-To and Delivered-To on top. */
import { join, resolve } from "node:path";
import {
  bounced,
  canonicalAddress,
  delivered,
  header,
  logText,
  type Clock,
  type DeliveryReport,
  type DeliveryRequest,
  type PluginLog,
  type Recipient,
  type Transport,
} from "@postern/core";
import { classifyFailure } from "./failures.ts";
import { nodeFiles, type FilePort } from "./file-port.ts";
import { mailboxPath } from "./mailbox-path.ts";
import { writeToMaildir } from "./maildir.ts";
import type { MaildirOptions } from "./options.ts";
import { createNameSource } from "./unique-name.ts";

export interface MaildirScope {
  readonly name: string;
  readonly hostname: string;
  /** The config's folder. */
  readonly directory: string;
  readonly recipientDelimiter?: string;
  readonly clock: Pick<Clock, "now">;
  readonly log: Pick<PluginLog, "warn">;
  readonly files?: FilePort;
}

/** Boxes that one message is written to at once: node has four threads for files, and others want them too. */
const lanes = 3;
/** All boxes share one file system: when it is full, nothing is tried for so long. */
const retryAfterMs = 60_000;

const alive: DeliveryReport = Object.freeze({ destination: "alive" });

export function createMaildirTransport({ directory, concurrency }: MaildirOptions, scope: MaildirScope): Transport {
  const root = resolve(scope.directory, directory);
  const files = scope.files ?? nodeFiles;
  const nextName = createNameSource(() => scope.clock.now(), scope.hostname);

  return {
    name: scope.name,
    description: "Delivers into Maildirs.",
    maxConcurrency: concurrency,

    async deliver(request, { settle, signal }) {
      let report = alive;
      const store = async (recipient: Recipient): Promise<void> => {
        const path = mailboxPath(recipient.address, scope.recipientDelimiter);
        if (path === undefined) {
          return settle(recipient, bounced("the address names no mailbox", { enhanced: "5.1.3" }));
        }
        const box = join(root, ...path);
        try {
          const message = { name: nextName(), head: traceFields(request, recipient), content: request.content };
          await writeToMaildir(files, root, box, message);
        } catch (error) {
          scope.log.warn(`${request.id}: ${box}: ${logText(error instanceof Error ? error.message : error)}`);
          const { outcome, everywhere } = classifyFailure(error);
          if (everywhere) report = { destination: "throttled", retryAfterMs, reason: outcome.text };
          return settle(recipient, { ...outcome, remote: scope.name });
        }
        settle(recipient, delivered("delivered to maildir", { remote: scope.name }));
      };
      const waiting = request.recipients.values();
      const work = async (): Promise<void> => {
        for (const recipient of waiting) {
          if (signal.aborted) return;
          await store(recipient);
        }
      };
      await Promise.all(Array.from({ length: Math.min(lanes, request.recipients.length) }, work));
      return report;
    },

    async close() {},
  };
}

/** RFC 5321 §4.4: final delivery keeps the reverse-path. Whom the sender wrote to is named when it was somebody else: an alias. */
function traceFields({ envelope }: DeliveryRequest, { address, original }: Recipient): string {
  const options = { utf8: true };
  const written = canonicalAddress(original, { smtputf8: true }) ?? original;
  return (
    header("Return-Path", `<${envelope.sender}>`, options) +
    (written === address ? "" : header("X-Original-To", written, options)) +
    header("Delivered-To", address, options)
  );
}
