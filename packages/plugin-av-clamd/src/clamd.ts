/** The engine: a message to clamd, its verdict as an answer. */
import {
  infected,
  ScannerFailure,
  type Clock,
  type IntakeAsk,
  type ScanAnswer,
  type ScanAsk,
  type ScanPart,
} from "@postern/core";
import type { Daemon } from "./daemon.ts";
import { inOrder, scanWithOne } from "./failover.ts";
import { ClamdIntake, worthStreamingBytes } from "./intake.ts";
import type { Options } from "./options.ts";
import { createTreatments, isFailure } from "./signatures.ts";

export interface ClamdSettings extends Pick<Options, "onInfected" | "signatures" | "tagHeader" | "header" | "maxSize"> {
  readonly hostname: string;
  /** Of one message. */
  readonly deadlineMs: number;
  readonly clock: Clock;
}

/** A message without an answer for so long makes one ask how clamd is, when there are several. */
const longestPatienceMs = 5_000;

export interface Engine {
  readonly begin: (ask: Pick<IntakeAsk, "transaction" | "signal">) => ClamdIntake | undefined;
  readonly scan: (ask: Pick<ScanAsk, "message" | "signal" | "intake">) => Promise<ScanAnswer>;
}

export function createClamd(daemons: readonly Daemon[], settings: ClamdSettings): Engine {
  const { maxSize = Infinity, clock, tagHeader, hostname } = settings;
  const treat = createTreatments(settings.signatures, settings.onInfected);
  const watch = { clock, patienceMs: Math.min(longestPatienceMs, settings.deadlineMs / 4) };

  function answerFor(name: string): ScanPart {
    const treatment = treat(name);
    if (isFailure(treatment)) throw new ScannerFailure(treatment, `clamd: ${name}`);
    return treatment === "ignore" ? { kind: "log", text: `ignored: ${name}` } : infected(name, treatment, tagHeader);
  }

  function answer(name: string | undefined, daemon: Daemon): ScanAnswer {
    const part = name === undefined ? undefined : answerFor(name);
    if (!settings.header) return part;
    const scanned: ScanPart = {
      kind: "prepend",
      name: "X-Virus-Scanned",
      value: `${daemon.version ?? "ClamAV"} at ${hostname}`,
    };
    return part === undefined ? scanned : [part, scanned];
  }

  return {
    begin({ transaction, signal }) {
      const { declaredSizeBytes: declared } = transaction;
      if (declared !== undefined && (declared < worthStreamingBytes || declared > maxSize)) return undefined;
      const [daemon] = inOrder(daemons);
      if (daemon === undefined || !daemon.takes(declared ?? 0)) return undefined;
      return new ClamdIntake({ daemon, clock, signal, maxBytes: Math.min(maxSize, daemon.streamMaxBytes ?? Infinity) });
    },
    async scan({ message, signal, intake }) {
      if (message.sizeBytes > maxSize) {
        throw new ScannerFailure("tooLarge", `${message.sizeBytes} bytes are more than maxSize, ${maxSize}`);
      }
      if (intake instanceof ClamdIntake) {
        // The header may have been made right since; the body is what came.
        const outcome = await intake.end(signal, message.body.sizeBytes).catch((error: unknown) => {
          if (daemons.length === 1) throw error;
          return undefined; // too large for this one: another may take more
        });
        if (outcome !== undefined) return answer(outcome.found, intake.daemon);
      }
      const { name, daemon } = await scanWithOne(daemons, message.raw, signal, watch);
      return answer(name, daemon);
    },
  };
}
