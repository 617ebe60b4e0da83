/** The engine: SHA-256 over the body, then a question to the daemon. */
import {
  reject,
  ScannerFailure,
  tagSubject,
  type Message,
  type RecipientAnswer,
  type ScanAnswer,
  type ScanIntake,
  type Scanner,
  type Transaction,
} from "@postern/core";
import { BodyDigest } from "./body-digest.ts";
import type { Options } from "./index.ts";

/** While the content comes, only the digest is kept. */
class DigestIntake implements ScanIntake {
  readonly digest = new BodyDigest();

  /** Nothing to wait for: a hash is quicker than a network. */
  write(part: Buffer): void {
    this.digest.add(part);
  }
}

/** Rejects with `ScannerFailure`. */
type AskDaemon = (fingerprint: string, signal: AbortSignal) => Promise<string>;

export function createFingerprints(options: Options, askDaemon: AskDaemon): Pick<Scanner, "begin" | "scan"> {
  return {
    // It opens nothing here. An engine that did would let go when `signal` is aborted.
    begin: () => new DigestIntake(),

    async scan({ message, transaction, intake, signal }) {
      if (message.sizeBytes > options.maxSize) {
        throw new ScannerFailure("tooLarge", `${message.sizeBytes} octets, at most ${options.maxSize} are looked at`);
      }
      if (/^multipart\/encrypted\b/i.test(message.headers.get("content-type")?.value ?? "")) {
        throw new ScannerFailure("encrypted", "each copy of an encrypted message has another fingerprint");
      }
      const digest = intake instanceof DigestIntake ? intake.digest : await readDigest(message, signal);
      const said = await askDaemon(digest.hex(), signal);
      const [, verdict, name = ""] = /^(UNKNOWN|KNOWN) ?([\w.-]{0,64})$/.exec(said) ?? [];
      // What the daemon never says must not pass for "clean".
      if (verdict === undefined)
        throw new ScannerFailure("error", `the daemon said ${JSON.stringify(said.slice(0, 100))}`);
      return verdict === "UNKNOWN" ? undefined : answerFor(name, message, transaction, options);
    },
  };
}

/** Piece by piece: a large message is in a file, and is never wholly in memory. */
async function readDigest(message: Message, signal: AbortSignal): Promise<BodyDigest> {
  const digest = new BodyDigest();
  for await (const piece of message.raw.read()) {
    signal.throwIfAborted();
    digest.add(piece);
  }
  return digest;
}

function answerFor(name: string, message: Message, transaction: Transaction, { onKnown, exempt }: Options): ScanAnswer {
  if (onKnown === "tag") {
    return [
      ...tagSubject(message, "[known]").map((edit) => ({ kind: "edit", edit }) as const),
      { kind: "prepend", name: "X-Fingerprint", value: name },
    ];
  }
  const verdict =
    onKnown === "reject" ? reject(`known: ${name}`) : ({ kind: "quarantine", text: `known: ${name}` } as const);
  const answers = transaction.recipients.map(({ address }): RecipientAnswer =>
    exempt.includes(address) ? undefined : verdict,
  );
  return answers.includes(undefined) ? { kind: "perRecipient", answers } : verdict;
}
