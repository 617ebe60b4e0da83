/**
 * One connection: opened, asked one question at a time, each statement prepared once. Every way to end is told to the pool exactly
 * once, with the question that was in hand.
 */
import { longestAnswer, type Clock, type Timer } from "@postern/core";
import type { Driver, DriverError, DriverFields, DriverStatement, OpenDriver } from "./driver.ts";
import type { HostAddress } from "./hosts.ts";
import type { BoundQuery, Query } from "./query.ts";
import type { ServerSettings } from "./server.ts";
import { defaultSqlMode, type SqlMode } from "./sql-text.ts";

/** One lookup on its way. */
export interface Question {
  readonly query: Query;
  readonly key: string;
  /** For a server in its usual mode. */
  readonly values: readonly string[];
}

/** What becomes of a session and its question. `ended` is the last word; it is said once. */
export interface SessionEvents<Q extends Question> {
  opened(session: Session<Q>): void;
  answered(session: Session<Q>, question: Q, result: unknown, fields: DriverFields): void;
  /** The server lives and will not answer this: wrong SQL, a table that is not there. The session goes on. */
  refused(session: Session<Q>, question: Q, why: string): void;
  ended(session: Session<Q>, question: Q | undefined, end: SessionEnd): void;
}

export interface SessionEnd {
  readonly why: string;
  /** unopened: it never came to be. timeout: the question had no answer in time. long: nor an end of it. lost: the connection broke. */
  readonly how: "unopened" | "timeout" | "long" | "lost";
}

/** What a server says of the connection, not of the question: shutdown, killed, statement unknown after a proxy changed servers. */
const lostCodes: ReadonlySet<number> = new Set([1053, 1158, 1159, 1160, 1161, 1184, 1243, 1317, 1927, 4031]);

/** How long a farewell may take. */
const farewellMs = 500;

export class Session<Q extends Question> {
  readonly address: HostAddress;
  /** When it was last put by, monotonic. */
  idleSince = 0;
  /** When the question in hand was asked, monotonic. */
  askedAt = 0;
  readonly #settings: ServerSettings;
  readonly #clock: Clock;
  readonly #events: SessionEvents<Q>;
  readonly #driver: Driver;
  readonly #prepared = new Map<Query, DriverStatement>();
  readonly #closed: Promise<void>;
  #mode: SqlMode = defaultSqlMode;
  #question: Q | undefined;
  /** Octets since the question was asked, or while it opens. */
  #received = 0;
  #timer: Timer;
  #state: "opening" | "open" | "over" = "opening";

  /** Begins to connect; `opened` or `ended` follows. */
  constructor(
    address: HostAddress,
    settings: ServerSettings,
    clock: Clock,
    events: SessionEvents<Q>,
    openDriver: OpenDriver,
  ) {
    this.address = address;
    this.#settings = settings;
    this.#clock = clock;
    this.#events = events;
    this.#timer = clock.setTimer(() => this.#end("no connection in time", "unopened"), settings.connectMs);
    this.#driver = openDriver(address, settings.login);
    this.#closed = new Promise((resolve) => this.#driver.stream.on("close", resolve));
    this.#driver.on("error", (error) => this.#break(error));
    this.#driver.on("end", () => this.#end("the server closed the connection", "lost"));
    const { stream } = this.#driver;
    stream.on("data", (chunk) => this.#receive(chunk));
    this.#driver.on("connect", () => {
      if (this.#driver.stream !== stream) this.#driver.stream.on("data", (chunk) => this.#receive(chunk));
      if (this.#state === "opening") this.#driver.query("SELECT @@sql_mode", (error, rows) => this.#greet(error, rows));
    });
  }

  /** Only when none is in hand. */
  ask(question: Q): void {
    this.#question = question;
    this.#received = 0;
    this.askedAt = this.#clock.monotonic();
    this.#timer = this.#clock.setTimer(() => this.#end("no answer in time", "timeout"), this.#settings.queryMs);
    let bound: BoundQuery = question.query.usual;
    let values = question.values;
    if (this.#mode !== defaultSqlMode) {
      try {
        bound = question.query.under(this.#mode);
      } catch (error) {
        return this.#refuse(question, (error as Error).message);
      }
      values = bound.values(question.key) ?? values;
    }
    const statement = this.#prepared.get(question.query);
    if (statement !== undefined) return this.#execute(statement, question, values);
    this.#driver.prepare(bound.sql, (error, prepared) => {
      if (this.#question !== question) return;
      if (error !== null) return this.#fail(question, error);
      this.#prepared.set(question.query, prepared);
      this.#execute(prepared, question, values);
    });
  }

  /** Ends it from our side; the question in hand, if any, is told as lost. Resolves when the connection is gone. */
  async close(): Promise<void> {
    if (this.#state !== "open" || this.#question !== undefined) {
      this.#end("closed", "lost");
      return;
    }
    this.#over();
    const timer = this.#clock.setTimer(() => this.#driver.stream.destroy(), farewellMs);
    this.#driver.end();
    await this.#closed;
    timer.cancel();
  }

  /** The driver collects an answer whole, however long it gets. */
  #receive(chunk: Buffer): void {
    this.#received += chunk.length;
    if (this.#received > longestAnswer) this.#end(`an answer longer than ${longestAnswer} octets`, "long");
  }

  #greet(error: DriverError | null, rows: unknown): void {
    if (this.#state !== "opening") return;
    if (error !== null) return this.#break(error);
    const [[modes = ""] = []] = rows as readonly (readonly string[])[];
    const words = new Set(modes.split(","));
    const mode = { ansiQuotes: words.has("ANSI_QUOTES"), plainBackslashes: words.has("NO_BACKSLASH_ESCAPES") };
    this.#mode = mode.ansiQuotes || mode.plainBackslashes ? mode : defaultSqlMode;
    this.#timer.cancel();
    this.#state = "open";
    this.#events.opened(this);
  }

  #execute(statement: DriverStatement, question: Q, values: readonly string[]): void {
    statement.execute(values, (error, result, fields) => {
      if (this.#question !== question) return;
      if (error !== null) return this.#fail(question, error);
      this.#timer.cancel();
      this.#question = undefined;
      this.#events.answered(this, question, result, fields);
    });
  }

  #fail(question: Q, error: DriverError): void {
    const ofTheServer = error.sqlState !== undefined && error.fatal !== true;
    if (!ofTheServer || lostCodes.has(error.errno ?? 0)) return this.#break(error);
    this.#refuse(question, describe(error));
  }

  #refuse(question: Q, why: string): void {
    this.#timer.cancel();
    this.#question = undefined;
    this.#events.refused(this, question, why);
  }

  #break(error: DriverError): void {
    this.#end(describe(error), this.#state === "opening" ? "unopened" : "lost");
  }

  #end(why: string, how: SessionEnd["how"]): void {
    if (this.#state === "over") return;
    const end = { why, how: this.#state === "opening" ? "unopened" : how } as const;
    this.#over();
    this.#driver.destroy();
    this.#driver.stream.destroy();
    const question = this.#question;
    this.#question = undefined;
    this.#events.ended(this, question, end);
  }

  #over(): void {
    this.#state = "over";
    this.#timer.cancel();
  }
}

/** Bounded, one line, and never the SQL, which mysql2 hangs on its errors. */
function describe(error: DriverError): string {
  const text = error.message === "" ? "failed" : error.message;
  const code = error.code === undefined || text.includes(error.code) ? "" : ` (${error.code})`;
  return `${text.slice(0, 300).replace(/\s+/g, " ")}${code}`;
}
