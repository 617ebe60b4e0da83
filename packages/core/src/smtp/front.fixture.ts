/** For tests of this folder: a front with real hooks, real policy and a queue that keeps what it gets, and a client to talk to it. */
import type { Duplex } from "node:stream";
import { tmpdir } from "node:os";
import { z } from "zod";
import { createNetworkList } from "../address/index.ts";
import { createAuthentication, type Authenticator } from "../authentication/index.ts";
import { createGuard, type Failed, type Owner } from "../guard/index.ts";
import { createHooks, hooksFor, type PluginHooks } from "../hooks/index.ts";
import { createNamelessFiles, createSpooler, type Blob, type Spooler } from "../message/index.ts";
import {
  createIdSource,
  permit,
  systemClock,
  type AddressClass,
  type Answer,
  type Clock,
  type MaybePromise,
  type QueuedMessage,
} from "../model/index.ts";
import { compilePolicy, type PolicyConfig } from "../policy/policy.ts";
import type { Restriction } from "../policy/restriction.ts";
import { createVocabulary } from "../policy/vocabulary.ts";
import { createScanning, type OwnedScanner, type ScanOutcome, type ScanRequest } from "../scanning/index.ts";
import { formatSmtpEvent, type SmtpEvent } from "./events.ts";
import type { ListenerSettings, SessionGeneration, SmtpHost, SmtpLimits, SmtpSettings } from "./front.ts";
import { connectInProcess, type InProcessClient } from "./in-process.ts";
import { createSmtpListener, type SmtpListener } from "./listener.ts";

/** As the config has them by default. */
const defaultLimits: SmtpLimits = Object.freeze({
  messageSizeBytes: 50 * 1024 * 1024,
  headerSizeBytes: 1024 * 1024,
  recipients: 1000,
  hops: 50,
  sessions: 1000,
  sessionsPerClient: 50,
  errors: 20,
  junkCommands: 100,
  commandLineBytes: 2048,
  commandTimeoutMs: 5 * 60_000,
  dataTimeoutMs: 60 * 60_000,
  minRateBytesPerSecond: 128,
});

export interface FrontOptions {
  readonly listener?: Partial<ListenerSettings>;
  readonly limits?: Partial<SmtpLimits>;
  readonly tls?: SmtpSettings["tls"];
  readonly networks?: readonly string[];
  readonly lists?: PolicyConfig["lists"];
  readonly delayReject?: boolean;
  readonly words?: readonly Restriction[];
  readonly taps?: (hooks: PluginHooks) => void;
  readonly owner?: Partial<Owner>;
  readonly scan?: (ask: ScanRequest) => MaybePromise<ScanOutcome>;
  /** Real scanning by these, in place of `scan`. */
  readonly scanners?: readonly OwnedScanner[];
  readonly quarantine?: SmtpHost["quarantine"];
  readonly clock?: Clock;
  readonly resolver?: SessionGeneration["resolver"];
  readonly enqueue?: SmtpHost["enqueue"];
  readonly hasRoom?: SmtpHost["hasRoom"];
  readonly spooler?: Spooler;
  readonly rewriter?: SessionGeneration["rewriter"];
  readonly authenticators?: readonly Authenticator[];
}

export interface Queued {
  readonly message: QueuedMessage;
  readonly text: string;
}

export interface Front {
  readonly listener: SmtpListener;
  readonly host: SmtpHost;
  readonly queue: Queued[];
  readonly events: SmtpEvent[];
  readonly failures: Failed[];
  /** Generations in use. */
  readonly held: number;
  /** Resolves when every session is over and its generation let go; rejects when that does not come. */
  idle(): Promise<void>;
  /** All events as log lines. */
  lines(): string[];
  connect(client?: InProcessClient): Talk;
  /** After the greeting and EHLO. */
  greeted(client?: InProcessClient): Promise<Talk>;
}

/** 192.0.2.0/24 is a stranger, 127.0.0.1 is ours unless `networks` says otherwise; `ours.test` is a domain of ours. */
export async function createFront(options: FrontOptions = {}): Promise<Front> {
  const clock = options.clock ?? systemClock;
  const queue: Queued[] = [];
  const events: SmtpEvent[] = [];
  const failures: Failed[] = [];
  const guard = createGuard(clock, (failed) => failures.push(failed));
  const hooks = createHooks(guard);
  const owner: Owner = { name: "probe", onError: "defer", deadlineMs: 10_000, ...options.owner };
  options.taps?.(hooksFor(hooks, owner, () => {}));
  const vocabulary = createVocabulary();
  vocabulary.register(permitMynetworks, owner);
  for (const word of options.words ?? []) vocabulary.register(word, owner);
  const policy = await compilePolicy(
    { lists: options.lists ?? {}, delayReject: options.delayReject ?? true },
    vocabulary,
    {
      clock,
      guard,
      addresses: {
        classOf: (domain): AddressClass => (domain === "ours.test" ? "relay" : "default"),
        isListed: () => true,
        recipientDelimiter: "",
      },
      openTable: () => Promise.reject(new Error("no tables here")),
    },
  );
  const settings: SmtpSettings = {
    hostname: "mx.ours.test",
    origin: "ours.test",
    tls: options.tls,
    limits: { ...defaultLimits, ...options.limits },
  };
  const networks = createNetworkList(options.networks ?? ["127.0.0.0/8"]);
  const registered = options.authenticators?.map((value) => ({ owner, value }));
  const authenticate = registered === undefined ? undefined : createAuthentication(registered, guard);
  const scanning = options.scanners === undefined ? undefined : createScanning(options.scanners, guard, { clock });
  let held = 0;
  const host: SmtpHost = {
    clock,
    ids: createIdSource(
      () => clock.now(),
      () => 0.5,
    ),
    acquire() {
      held += 1;
      return {
        hooks,
        settings,
        networks,
        resolver: options.resolver,
        startPolicy: () => policy.start(),
        rewriter: options.rewriter,
        scan: scanning === undefined ? options.scan : (ask) => scanning.scan(ask),
        beginScan: scanning?.begin,
        authenticate,
        renew() {},
        release() {
          held -= 1;
        },
      };
    },
    spooler:
      options.spooler ??
      createSpooler({ files: createNamelessFiles(tmpdir()), maxSizeBytes: settings.limits.messageSizeBytes * 2 }),
    hasRoom: options.hasRoom ?? (() => true),
    enqueue:
      options.enqueue ?? (async (message, content) => void queue.push({ message, text: await readText(content) })),
    quarantine: options.quarantine ?? (() => Promise.reject(new Error("this front has no quarantine"))),
    withdraw: () => Promise.reject(new Error("this front has no quarantine")),
    log: (event) => void events.push(event),
  };
  const listener = createSmtpListener(
    {
      name: "test",
      host: "127.0.0.1",
      port: 0,
      xclient: [],
      proxy: [],
      lineEndings: "reject",
      banner: "",
      tls: "starttls",
      ...options.listener,
    },
    host,
  );
  const connect = (client: InProcessClient = {}): Talk =>
    new Talk(connectInProcess(listener, { remoteAddress: "192.0.2.1", ...client }));
  return {
    listener,
    host,
    queue,
    events,
    failures,
    get held() {
      return held;
    },
    async idle() {
      for (let turns = 0; held > 0; turns += 1) {
        if (turns > 60_000) throw new Error(`${held} generations are still held`);
        await new Promise((resolve) => (turns < 100 ? setImmediate(resolve) : setTimeout(resolve, 1)));
      }
    },
    lines: () => events.map(formatSmtpEvent),
    connect,
    async greeted(client) {
      const talk = connect(client);
      await talk.reply();
      await talk.say("EHLO client.test");
      return talk;
    },
  };
}

const permitMynetworks: Restriction = {
  name: "permit_mynetworks",
  stages: ["connect", "helo", "mail", "relay", "rcpt", "data", "message"],
  args: z.tuple([]),
  description: "Permits clients in networks.",
  authorizes: true,
  compile: () => (ask) => (ask.session.client.inNetworks ? permit : undefined),
};

/** A word that always says the same. */
export function sayWord(name: string, answer: Answer | (() => MaybePromise<Answer>)): Restriction {
  return {
    name,
    stages: ["connect", "helo", "mail", "relay", "rcpt", "data", "message"],
    args: z.tuple([]),
    description: "For a test.",
    compile: () => () => (typeof answer === "function" ? answer() : answer),
  };
}

export async function readText(content: Blob): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of content.read()) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}

/** The client's side. Replies are read whole, in order. */
export class Talk {
  readonly stream: Duplex;
  /** All that was read, as latin1. */
  transcript = "";
  /** How many pieces it came in. */
  pieces = 0;
  ended = false;
  #read = 0;
  #waiting: (() => void)[] = [];

  constructor(stream: Duplex) {
    this.stream = stream;
    stream.on("data", (chunk: Buffer) => {
      this.transcript += chunk.toString("latin1");
      this.pieces += 1;
      this.#wake();
    });
    const ended = (): void => {
      this.ended = true;
      this.#wake();
    };
    stream.on("end", ended);
    stream.on("close", ended);
    stream.on("error", ended);
  }

  send(text: string | Buffer): void {
    this.stream.write(typeof text === "string" ? Buffer.from(text, "latin1") : text);
  }

  /** The next reply, its lines joined by "\n"; "closed" when the server hung up instead. */
  async reply(): Promise<string> {
    for (;;) {
      const rest = this.transcript.slice(this.#read);
      const match = /^(?:\d{3}-[^\r\n]*\r\n)*\d{3} [^\r\n]*\r\n/.exec(rest);
      if (match !== null) {
        this.#read += match[0].length;
        return match[0].trimEnd().replaceAll("\r\n", "\n");
      }
      if (this.ended) return rest === "" ? "closed" : `garbage ${JSON.stringify(rest)}`;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async replies(count: number): Promise<string[]> {
    const all: string[] = [];
    for (let left = count; left > 0; left -= 1) all.push(await this.reply());
    return all;
  }

  say(line: string): Promise<string> {
    this.send(`${line}\r\n`);
    return this.reply();
  }

  /** Everything up to the end. */
  async rest(): Promise<string> {
    while (!this.ended) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.transcript.slice(this.#read);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
