/** The transport `pipe`: mail delivered to a command, as Postfix's pipe(8). The next-hop is the command's name. */
import {
  bounced,
  deferred,
  NoSlot,
  openMessage,
  Slots,
  type Clock,
  type DeliveryControls,
  type DeliveryReport,
  type DeliveryRequest,
  type MaybePromise,
  type Outcome,
  type Recipient,
  type Transport,
} from "@postern/core";
import { expandArguments, LooksLikeOption, type Facts } from "./arguments.ts";
import { readEnd } from "./exit-status.ts";
import { copyMail } from "./mail-copy.ts";
import type { CommandOptions } from "./options.ts";
import { CommandFailed, runCommand } from "./run-command.ts";
import type { Identity } from "./user.ts";

/** A command as configured, its paths absolute. */
export interface PipeCommand extends Omit<CommandOptions, "directory" | "argv" | "user"> {
  readonly argv: readonly [string, ...string[]];
  readonly directory: string;
  readonly identity: () => MaybePromise<Identity | undefined>;
}

export interface PipeScope {
  readonly clock: Clock;
  readonly recipientDelimiter: string;
}

const alive: DeliveryReport = Object.freeze({ destination: "alive" });

export function createPipeTransport(
  commands: ReadonlyMap<string, PipeCommand>,
  { clock, recipientDelimiter }: PipeScope,
): Transport {
  const slots = new Map([...commands].map(([name, { concurrency }]) => [name, new Slots(concurrency)] as const));
  const most = [...commands.values()].map(({ concurrency }) => concurrency);

  async function runFor(
    command: PipeCommand,
    request: DeliveryRequest,
    recipients: readonly [Recipient, ...Recipient[]],
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { argv, directory, flags, eol, nullSender, timeLimit } = command;
    const [first] = recipients;
    const [file] = argv;
    const facts: Facts = {
      request,
      recipientDelimiter,
      nullSender,
      write: writer(flags),
      writeSender: writer(flags.replace(/[hu]/g, "")),
      foldDomain: flags.includes("h"),
    };
    try {
      if (flags.includes("D") && (await hasCome(request, first))) {
        return bounced(`mail forwarding loop for ${first.address}`, { enhanced: "5.4.6" });
      }
      const [, ...words] = argv;
      const ended = await runCommand(
        {
          argv: [file, ...expandArguments(words, facts, recipients)],
          directory,
          as: await command.identity(),
          timeLimitMs: timeLimit,
          content: copyMail(request, first, {
            flags,
            eol: eol === "lf" ? "\n" : "\r\n",
            nullSender,
            nowMs: clock.now(),
          }),
          signal,
        },
        clock,
      );
      const outcome = readEnd(ended, file);
      return outcome.status === "delivered" && !flags.includes("X") ? { ...outcome, dsn: "relayed" } : outcome;
    } catch (error) {
      if (error instanceof LooksLikeOption) {
        return bounced("the address would be an option of the command", { enhanced: "5.1.3" });
      }
      if (!(error instanceof CommandFailed)) throw error;
      // Not the sender's fault: it waits until somebody has looked.
      return deferred(error.reason === "start" ? `cannot run ${error.message}` : error.message, {
        enhanced: error.reason === "start" ? "4.3.5" : "4.3.0",
      });
    }
  }

  return {
    name: "pipe",
    description: `Delivers to commands: ${[...commands.keys()].join(", ")}.`,
    maxRecipients: Math.max(1, ...[...commands.values()].map(({ maxRecipients }) => maxRecipients)),
    maxConcurrency: Math.max(1, ...most),

    async deliver(request: DeliveryRequest, { settle, signal }: DeliveryControls): Promise<DeliveryReport> {
      const { recipients, route, content } = request;
      const name = route.nextHop;
      const command = commands.get(name);
      const slot = slots.get(name);
      const remote = `pipe:${name}`;
      if (command === undefined || slot === undefined) {
        return { destination: "dead", reason: `there is no command ${name}` };
      }
      if (command.size !== undefined && content.sizeBytes > command.size) {
        const outcome = bounced(`message size ${content.sizeBytes} exceeds size limit ${command.size} of ${name}`, {
          enhanced: "5.2.3",
          remote,
        });
        for (const recipient of recipients) settle(recipient, outcome);
        return alive;
      }
      const atOnce = /[DO]/.test(command.flags) ? 1 : command.maxRecipients;
      for (let at = 0; at < recipients.length; at += atOnce) {
        const [first, ...others] = recipients.slice(at, at + atOnce);
        if (first === undefined || signal.aborted) break;
        const outcome = await slot
          .run(signal, () => runFor(command, request, [first, ...others], signal))
          .catch((error: unknown) => {
            if (error instanceof NoSlot) return deferred(error.message, { enhanced: "4.3.2" });
            throw error;
          });
        for (const recipient of [first, ...others]) settle(recipient, { ...outcome, remote });
      }
      return alive;
    },

    close: async () => undefined,
  };
}

async function hasCome({ content }: DeliveryRequest, { address }: Recipient): Promise<boolean> {
  const { headers } = await openMessage(content);
  return headers.getAll("delivered-to").some(({ value }) => value.toLowerCase() === address.toLowerCase());
}

/** `h`, `u`, `q`. An address is quoted here where it must be; without `q` a command gets it bare, as from pipe(8). */
function writer(flags: string): (address: string) => string {
  const [h, u, q] = [flags.includes("h"), flags.includes("u"), flags.includes("q")];
  return (address) => {
    const at = address.lastIndexOf("@");
    const local = at < 0 ? address : address.slice(0, at);
    const domain = at < 0 ? "" : address.slice(at);
    const bare = !q && /^".*"$/s.test(local) ? local.slice(1, -1).replace(/\\(.)/gs, "$1") : local;
    return `${u ? bare.toLowerCase() : bare}${h ? domain.toLowerCase() : domain}`;
  };
}
