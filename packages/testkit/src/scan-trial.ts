/** One scan as the gateway makes it: guarded, with a signal, room for octets, and the content on its way in. */
import { tmpdir } from "node:os";
import {
  createGuard,
  createNamelessFiles,
  createSoundSpool,
  createSpooler,
  Failed,
  systemClock,
  type Message,
  type ScanAsk,
  type ScanIntake,
  type Scanner,
  type Session,
  type Spool,
  type Transaction,
} from "@postern/core";
import { readScanAnswer } from "./scan-answer.ts";

export type ScannerUnderTest = Pick<Scanner, "name" | "scan" | "begin">;

export interface Question {
  readonly session: Session;
  readonly transaction: Transaction;
  readonly message: Message;
}

const mostSpooledBytes = 256 * 1024 * 1024;
const over = new Error("the scan is over");

export class ScanTrial {
  readonly #scanner: ScannerUnderTest;
  readonly #deadlineMs: number;
  readonly #spooler = createSpooler({ files: createNamelessFiles(tmpdir()), maxSizeBytes: mostSpooledBytes });

  constructor(scanner: ScannerUnderTest, deadlineMs: number) {
    this.#scanner = scanner;
    this.#deadlineMs = deadlineMs;
  }

  /** The answer as text, or `fails reason: why`. `parts`: given to `begin` first, as they are cut. */
  async scan(question: Question, parts?: readonly Buffer[]): Promise<string> {
    const controller = new AbortController();
    const { signal } = controller;
    const intake = parts === undefined ? undefined : await this.take({ ...question, signal }, parts);
    const guard = createGuard(systemClock, () => undefined);
    const owner = { name: this.#scanner.name, onError: "defer", deadlineMs: this.#deadlineMs } as const;
    const { recipients } = question.transaction;
    const ask = this.ask(question, signal, intake);
    const check = (answer: unknown): string => readScanAnswer(answer, recipients.length);
    const said = await guard.run(owner, "scan", check, () => this.#scanner.scan(ask));
    controller.abort(over);
    for (const spool of this.#spools.splice(0)) await spool.dispose();
    return said instanceof Failed ? `fails ${said.reason}: ${textOf(said.error)}` : said;
  }

  ask(question: Question, signal: AbortSignal, intake?: ScanIntake): ScanAsk {
    const openSpool = (): Spool => {
      const spool = createSoundSpool(this.#spooler.open());
      this.#spools.push(spool);
      return spool;
    };
    return { ...question, signal, intake, openSpool };
  }

  readonly #spools: Spool[] = [];

  /** What `begin` gives, with all of the content. Throws as its `write` does. */
  async take(
    ask: Pick<ScanAsk, "session" | "transaction" | "signal">,
    parts: readonly Buffer[],
  ): Promise<ScanIntake | undefined> {
    const intake = this.#scanner.begin?.(ask);
    if (intake === undefined) return undefined;
    for (const part of parts) {
      try {
        await intake.write(part);
      } catch (error) {
        throw new Error(`its intake threw: ${textOf(error)}`, { cause: error });
      }
    }
    return intake;
  }
}

export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
