/** One scan for one user, in each of the modes: a verdict, and what is to be changed in the message. */
import {
  isOwnClient,
  ScannerFailure,
  type Blob,
  type Clock,
  type Edit,
  type EngineServers,
  type HeaderField,
  type HeaderList,
  type ScanAsk,
  type Spool,
} from "@postern/core";
import { converse, type Endpoint, type Question, type Verdict } from "./conversation.ts";
import { headerEdits, readFields, withoutTrace } from "./header-difference.ts";
import type { Options } from "./options.ts";
import { ownEdits } from "./own-fields.ts";
import { SectionReader } from "./section.ts";
import { traceFor } from "./trace.ts";

export interface Scanned extends Verdict {
  readonly edits: readonly Edit[];
}

export interface Engine {
  readonly servers: EngineServers<Endpoint>;
  readonly options: Pick<Options, "mode" | "subject" | "connectTimeout">;
  /** Names of fields that go out of strangers' mail. */
  readonly unwanted: readonly RegExp[];
  readonly clock: Clock;
  readonly hostname: string;
}

type Scan = (engine: Engine, user: string | undefined, ask: ScanAsk) => Promise<Scanned>;

/** Throws `ScannerFailure`. */
export const scanFor: Scan = (engine, user, ask) => scans[engine.options.mode](engine, user, ask);

/** What SpamAssassin adds to a header section: its report may be long. */
const mostAdded = 512 * 1024;
/** Octets of the names of tests. */
const longestSymbols = 64 * 1024;

const scanHeaders: Scan = async (engine, user, ask) => {
  const { headers } = ask.message;
  const { verdict, taker, trace } = await put(engine, "HEADERS", user, ask, () => {
    return new SectionReader(sectionLimit(ask), () => {
      throw new ScannerFailure("error", "spamd sent more than a header section");
    });
  });
  const returned = fieldsOf(taker);
  // The body would be another, too, and a new header above the old body is a broken message.
  if (changesMime(headers, returned)) return scanMessage(engine, user, ask);
  return { ...verdict, edits: headerEdits(headers, withoutOurs(returned, trace), unwantedIn(engine, ask)) };
};

const scanMessage: Scan = async (engine, user, ask) => {
  const { headers } = ask.message;
  const { verdict, taker, trace } = await put(engine, "PROCESS", user, ask, () => new ProcessedMessage(ask));
  const returned = fieldsOf(taker.reader);
  const unwanted = unwantedIn(engine, ask);
  if (!changesMime(headers, returned)) {
    return { ...verdict, edits: headerEdits(headers, withoutOurs(returned, trace), unwanted) };
  }
  // A report is a message of its own, with the original and its trace fields within.
  const edits = headerEdits(headers, withoutTrace(returned, trace) ?? returned, unwanted);
  return { ...verdict, edits: [...edits, { kind: "replaceBody", body: await taker.body() }] };
};

const checkScore: Scan = async (engine, user, ask) => {
  const { verdict, taker } = await put(engine, "SYMBOLS", user, ask, () => new SymbolList());
  const unwanted = unwantedIn(engine, ask);
  return { ...verdict, edits: ownEdits(ask.message, verdict, taker.tests(), engine.options.subject, unwanted) };
};

const scans: Readonly<Record<Options["mode"], Scan>> = {
  headers: scanHeaders,
  message: scanMessage,
  check: checkScore,
};

interface Taker {
  write(piece: Buffer): unknown;
  /** The server broke off, and another is asked. */
  dispose?(): void;
}

/** `start` makes a taker for each server that is asked. */
async function put<T extends Taker>(
  { servers, options, clock, hostname }: Engine,
  command: Question["command"],
  user: string | undefined,
  ask: ScanAsk,
  start: () => T,
): Promise<{ readonly verdict: Verdict; readonly taker: T; readonly trace: Buffer }> {
  const { message, signal } = ask;
  const trace = traceFor(ask, hostname, clock.now());
  return servers.ask(signal, async (endpoint) => {
    const taker = start();
    try {
      const verdict = await converse({
        endpoint,
        command,
        user,
        trace,
        content: message.raw,
        connectTimeoutMs: options.connectTimeout,
        clock,
        signal,
        take: (piece) => taker.write(piece),
      });
      return { verdict, taker, trace };
    } catch (error) {
      taker.dispose?.();
      throw error;
    }
  });
}

/** A whole message; its body is kept when it is another than the one that was sent. */
class ProcessedMessage implements Taker {
  readonly reader: SectionReader;
  readonly #ask: ScanAsk;
  #spool: Spool | undefined;
  #changed: boolean | undefined;

  constructor(ask: ScanAsk) {
    this.#ask = ask;
    this.reader = new SectionReader(sectionLimit(ask), (piece) => {
      this.#changed ??= changesMime(ask.message.headers, fieldsOf(this.reader));
      if (!this.#changed) return undefined;
      this.#spool ??= this.#ask.openSpool();
      return this.#spool.write(piece);
    });
  }

  write(piece: Buffer): unknown {
    return this.reader.write(piece);
  }

  dispose(): void {
    void this.#spool?.dispose();
  }

  async body(): Promise<Blob | Buffer> {
    if (this.#spool === undefined) return Buffer.alloc(0);
    const body = await this.#spool.end();
    if (body === undefined) throw new ScannerFailure("tooLarge", "SpamAssassin's message is larger than one may be");
    return body;
  }
}

/** The names of the tests that hit, with commas between them. */
class SymbolList implements Taker {
  #text = "";

  write(piece: Buffer): void {
    this.#text += piece.toString("latin1");
    if (this.#text.length > longestSymbols) throw new ScannerFailure("error", "spamd's list of tests is too long");
  }

  tests(): readonly string[] {
    return this.#text.split(/[,\s]+/).filter((name) => /^\w+$/.test(name));
  }
}

function fieldsOf({ section }: SectionReader): HeaderList {
  if (section.length === 0) throw new ScannerFailure("error", "spamd gave a verdict and no header section");
  return readFields(section);
}

function withoutOurs(returned: HeaderList, trace: Buffer): readonly HeaderField[] {
  const fields = withoutTrace(returned, trace);
  if (fields === undefined)
    throw new ScannerFailure("error", "SpamAssassin took out the Received field that it was given");
  return fields;
}

function sectionLimit({ message }: ScanAsk): number {
  let octets = mostAdded;
  for (const { raw } of message.headers) octets += raw.length;
  return octets;
}

function changesMime(before: HeaderList, after: HeaderList): boolean {
  return ["MIME-Version", "Content-Type", "Content-Transfer-Encoding"].some(
    (name) => valuesOf(before, name) !== valuesOf(after, name),
  );
}

function valuesOf(headers: HeaderList, name: string): string {
  return JSON.stringify(headers.getAll(name).map(({ value }) => value));
}

function unwantedIn({ unwanted }: Engine, { session }: ScanAsk): (name: string) => boolean {
  if (isOwnClient(session)) return () => false;
  return (name) => unwanted.some((pattern) => pattern.test(name));
}
