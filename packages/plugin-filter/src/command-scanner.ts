/**
 * A command as a scanner before the queue: the message on its standard input; 0 lets it pass, some ends of sysexits.h are a verdict with the
 * command's words, and every other end is a failure.
 */
import {
  defer,
  reject,
  ScannerFailure,
  Slots,
  type Clock,
  type DeliveryRequest,
  type MaybePromise,
  type ScanAnswer,
  type ScanAsk,
} from "@postern/core";
import { expandArguments, LooksLikeOption } from "./arguments.ts";
import { leadingCode, type Ended } from "./exit-status.ts";
import { NewMessage } from "./new-message.ts";
import type { ScannerOptions } from "./options.ts";
import { CommandFailed, runCommand } from "./run-command.ts";
import type { Identity } from "./user.ts";

export interface ScanCommand extends Omit<ScannerOptions, "directory" | "argv" | "user"> {
  readonly argv: readonly [string, ...string[]];
  readonly directory: string;
  readonly identity: () => MaybePromise<Identity | undefined>;
}

const refusals: ReadonlyMap<number, string> = new Map([
  [65, "5.6.0"],
  [67, "5.1.1"],
  [69, "5.7.1"],
  [77, "5.7.1"],
]);
const temporary = 75;

const looksLikeOption = reject("An address or name that begins with a hyphen is not taken", "5.1.3", 553);

export function createCommandScanner(
  { argv, directory, identity, replace, maxSize, timeLimit, concurrency }: ScanCommand,
  { clock, recipientDelimiter }: { readonly clock: Clock; readonly recipientDelimiter: string },
): (ask: ScanAsk) => Promise<ScanAnswer> {
  const slots = new Slots(concurrency);
  const [file, ...words] = argv;

  async function scan(ask: ScanAsk): Promise<ScanAnswer> {
    const { message, transaction, session, signal } = ask;
    const facts = {
      request: describeRequest(transaction, session, message.raw),
      recipientDelimiter,
      nullSender: "",
      write: (address: string) => address,
      writeSender: (address: string) => address,
      foldDomain: false,
    };
    const written = replace ? new NewMessage(ask) : undefined;
    const ended = await runCommand(
      {
        argv: [file, ...expandArguments(words, facts, transaction.recipients)],
        directory,
        as: await identity(),
        timeLimitMs: timeLimit,
        content: message.raw.read(),
        ...(written === undefined ? {} : { onOutput: (octets: Buffer) => written.write(octets) }),
        signal,
      },
      clock,
    );
    const verdict = readVerdict(ended, file);
    return verdict ?? written?.end();
  }

  return async (ask) => {
    if (maxSize !== undefined && ask.message.sizeBytes > maxSize) {
      throw new ScannerFailure("tooLarge", `${ask.message.sizeBytes} bytes are more than maxSize, ${maxSize}`);
    }
    try {
      return await slots.run(ask.signal, () => scan(ask));
    } catch (error) {
      // No failure, which `onError` might let pass: strangers choose such addresses.
      if (error instanceof LooksLikeOption) return looksLikeOption;
      if (!(error instanceof CommandFailed)) throw error;
      if (error.cause instanceof ScannerFailure) throw error.cause;
      const reason = error.reason === "start" ? "down" : error.reason === "aborted" ? "timeout" : "error";
      throw new ScannerFailure(reason, error.message, { cause: error });
    }
  };
}

/** `undefined`: it passes. Throws `ScannerFailure` for every end that is no verdict. */
function readVerdict({ code, signal, expired, output }: Ended, file: string): ScanAnswer {
  if (expired) throw new ScannerFailure("timeout", `${file}: time limit exceeded`);
  if (code === 0) return undefined;
  const refusal = code === undefined ? undefined : refusals.get(code);
  const { enhanced, text } = leadingCode(output) ?? { enhanced: undefined, text: output };
  if (code === temporary || (refusal !== undefined && enhanced?.startsWith("4") === true)) {
    return defer(text === "" ? "Try again later" : text, enhanced?.startsWith("4") === true ? enhanced : "4.7.1", 451);
  }
  if (refusal !== undefined) return reject(text === "" ? "Message refused" : text, enhanced ?? refusal);
  const how = code === undefined ? `died with signal ${signal ?? 0}` : `ended with status ${code}`;
  throw new ScannerFailure("error", `${file} ${how}: ${output}`);
}

/** What a scanner knows, in the form of a delivery, for the words of the command line. */
function describeRequest(
  transaction: ScanAsk["transaction"],
  { client, helo, listener, id }: ScanAsk["session"],
  content: DeliveryRequest["content"],
) {
  return {
    id: transaction.id,
    envelope: transaction,
    route: { transport: "pipe", nextHop: "" },
    content,
    origin: {
      sessionId: id,
      clientAddress: client.address,
      clientName: client.name,
      helo: helo?.name ?? "",
      protocol: helo?.verb === "EHLO" ? "ESMTP" : "SMTP",
      listener,
      trusted: client.inNetworks,
    },
  };
}
