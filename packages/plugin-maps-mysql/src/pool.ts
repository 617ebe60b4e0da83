/**
 * The connections of all tables with the same servers and login: few, opened when needed, closed when idle. A question goes to a
 * connection that waits, else to a new one, else it waits its turn. What a dead or hanging server leaves unanswered is asked of
 * another, or once more over a new connection; when no server is left the question fails, never "not found".
 */
import { TableUnavailable, type Clock, type Timer } from "@postern/core";
import type { DriverFields, OpenDriver } from "./driver.ts";
import { Hosts, type Host } from "./host.ts";
import type { ServerSettings } from "./server.ts";
import { Session, type Question, type SessionEnd, type SessionEvents } from "./session.ts";

/** What a table asks. One of `answered` and `failed` is called, once. */
export interface TableQuestion extends Question {
  readonly label: string;
  readonly signal?: AbortSignal | undefined;
  answered(result: unknown, fields: DriverFields): void;
  failed(error: TableUnavailable): void;
}

interface Asked extends TableQuestion {
  /** Hosts that failed it. */
  tried?: Set<Host>;
  /** Connections that broke under it. */
  losses: number;
  /** What a server said that would not answer it. */
  refusal?: string;
}

type PoolSession = Session<Asked>;

/** More than that and the servers are hopelessly behind. */
const mostWaiting = 2000;
/** A server that takes no further connection is not asked for one before that. */
const fullMs = 1000;
/** A question survives one broken connection, not two. */
const mostLosses = 2;

export class Pool implements SessionEvents<Asked> {
  readonly #settings: ServerSettings;
  readonly #clock: Clock;
  readonly #openDriver: OpenDriver;
  readonly #hosts: Hosts;
  /** Open or opening. */
  readonly #sessions = new Map<PoolSession, { readonly host: Host; open: boolean }>();
  /** The one used last stands last, so that those not needed grow old. */
  readonly #idle: PoolSession[] = [];
  #waiting: Asked[] = [];
  #sweep: Timer | undefined;
  #closed = false;

  constructor(settings: ServerSettings, clock: Clock, openDriver: OpenDriver, random: () => number = Math.random) {
    this.#settings = settings;
    this.#clock = clock;
    this.#openDriver = openDriver;
    this.#hosts = new Hosts(settings.hosts, settings.retryMs, random);
  }

  ask(question: TableQuestion): void {
    if (this.#closed) return question.failed(new TableUnavailable(question.label, "closed"));
    if (this.#waiting.length >= mostWaiting) {
      return question.failed(new TableUnavailable(question.label, "too many lookups wait for the server"));
    }
    this.#dispatch(Object.assign(question, { losses: 0 }), "last");
  }

  /** Questions that still wait fail. Resolves when all connections are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#sweep?.cancel();
    for (const asked of this.#waiting.splice(0)) asked.failed(new TableUnavailable(asked.label, "closed"));
    await Promise.all([...this.#sessions.keys()].map((session) => session.close()));
  }

  opened(session: PoolSession): void {
    const entry = this.#sessions.get(session);
    if (entry === undefined) return;
    entry.open = true;
    entry.host.opening -= 1;
    entry.host.sessions += 1;
    entry.host.failedAt = undefined;
    this.#release(session, entry.host);
    this.#grow();
  }

  answered(session: PoolSession, asked: Asked, result: unknown, fields: DriverFields): void {
    const host = this.#sessions.get(session)?.host;
    if (host !== undefined) {
      host.answeredAt = this.#clock.monotonic();
      this.#release(session, host);
    }
    asked.answered(result, fields);
  }

  refused(session: PoolSession, asked: Asked, why: string): void {
    const host = this.#sessions.get(session)?.host;
    if (host !== undefined) {
      host.answeredAt = this.#clock.monotonic();
      (asked.tried ??= new Set()).add(host);
      this.#release(session, host);
    }
    // Another server may have the table that this one lacks.
    asked.refusal = `${session.address.text} refuses the query: ${why}`;
    this.#dispatch(asked, "first");
  }

  ended(session: PoolSession, asked: Asked | undefined, end: SessionEnd): void {
    const entry = this.#sessions.get(session);
    if (entry === undefined) return;
    this.#sessions.delete(session);
    const at = this.#idle.indexOf(session);
    if (at >= 0) this.#idle.splice(at, 1);
    if (entry.open) leave(entry.host);
    else entry.host.opening -= 1;
    if (this.#closed) return asked?.failed(new TableUnavailable(asked.label, "closed"));
    if (end.how === "unopened") this.#unopened(entry.host, end.why);
    else if (asked !== undefined) this.#unanswered(session, entry.host, asked, end);
    this.#grow();
  }

  #unopened(host: Host, why: string): void {
    const now = this.#clock.monotonic();
    if (host.sessions > 0) {
      // It lives: too many connections.
      host.fullUntil = now + fullMs;
      return;
    }
    host.fail(now, why);
    for (const asked of this.#waiting) (asked.tried ??= new Set()).add(host);
  }

  #unanswered(session: PoolSession, host: Host, asked: Asked, { how, why }: SessionEnd): void {
    const now = this.#clock.monotonic();
    const answersOthers = host.answeredAt > session.askedAt + this.#settings.queryMs / 2;
    if (how === "long" || (how === "timeout" && answersOthers)) {
      // It lives: this query is slow, or has no end, and would be so elsewhere.
      const message = `${host.address.text}: ${why}`;
      return asked.failed(new TableUnavailable(asked.label, message, { onlyThisKey: true }));
    }
    asked.losses += 1;
    host.why = why;
    if (how === "timeout") host.fail(now, why);
    if (how === "timeout" || asked.losses >= mostLosses) (asked.tried ??= new Set()).add(host);
    // The others that wait there are likely as dead; a new one costs a millisecond.
    this.#drop(host);
    this.#waiting.unshift(asked);
  }

  #drop(host: Host): void {
    for (const session of this.#idle.filter((idle) => this.#sessions.get(idle)?.host === host)) this.#dismiss(session);
  }

  /** Closes an idle connection. */
  #dismiss(session: PoolSession): void {
    this.#idle.splice(this.#idle.indexOf(session), 1);
    const entry = this.#sessions.get(session);
    this.#sessions.delete(session);
    if (entry !== undefined) leave(entry.host);
    void session.close();
  }

  /** To an idle connection, or in the row of those that wait. */
  #dispatch(asked: Asked, place: "first" | "last"): void {
    const { tried } = asked;
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      const session = this.#idle[at];
      const host = session && this.#sessions.get(session)?.host;
      if (session === undefined || host === undefined || tried?.has(host) === true) continue;
      this.#idle.splice(at, 1);
      return session.ask(asked);
    }
    if (place === "first") this.#waiting.unshift(asked);
    else this.#waiting.push(asked);
    this.#grow();
  }

  #release(session: PoolSession, host: Host): void {
    const asked = this.#nextFor(host);
    if (asked !== undefined) return session.ask(asked);
    session.idleSince = this.#clock.monotonic();
    this.#idle.push(session);
    this.#sweep ??= this.#clock.setTimer(() => this.#closeIdle(), this.#settings.idleMs);
  }

  /** The first in the row that this host has not failed. */
  #nextFor(host: Host): Asked | undefined {
    const waiting = this.#waiting;
    for (let at = 0; at < waiting.length; at++) {
      const asked = waiting[at];
      if (asked === undefined || asked.tried?.has(host) === true) continue;
      if (at === 0) waiting.shift();
      else waiting.splice(at, 1);
      if (asked.signal?.aborted !== true) return asked;
      asked.failed(new TableUnavailable(asked.label, "given up"));
      at -= 1;
    }
    return undefined;
  }

  /** Opens connections for those that wait, and fails those for whom no server is left. */
  #grow(): void {
    if (this.#waiting.length === 0) return;
    const now = this.#clock.monotonic();
    const hopeless = new Set<Asked>();
    let opening = this.#hosts.all.reduce((sum, host) => sum + host.opening, 0);
    for (const asked of this.#waiting) {
      if (this.#sessions.size < this.#settings.connections && opening < this.#waiting.length) {
        const host = this.#hosts.pick(now, asked.tried);
        if (host !== undefined) {
          this.#open(host);
          opening += 1;
          continue;
        }
      }
      const hope = this.#hosts.all.some((host) => asked.tried?.has(host) !== true && host.sessions + host.opening > 0);
      if (!hope) hopeless.add(asked);
      else if (opening >= this.#waiting.length || this.#sessions.size >= this.#settings.connections) break;
    }
    if (hopeless.size === 0) return;
    this.#waiting = this.#waiting.filter((asked) => !hopeless.has(asked));
    const down = `no server answers: ${this.#hosts.describe()}`;
    for (const asked of hopeless) {
      const { label, refusal } = asked;
      // Who refuses lives: what is wrong is wrong with this lookup alone.
      asked.failed(new TableUnavailable(label, refusal ?? down, { onlyThisKey: refusal !== undefined }));
    }
  }

  #open(host: Host): void {
    host.opening += 1;
    const session: PoolSession = new Session(host.address, this.#settings, this.#clock, this, this.#openDriver);
    this.#sessions.set(session, { host, open: false });
  }

  #closeIdle(): void {
    this.#sweep = undefined;
    const oldest = this.#clock.monotonic() - this.#settings.idleMs;
    for (const session of this.#idle.filter(({ idleSince }) => idleSince <= oldest)) this.#dismiss(session);
    const [first] = this.#idle;
    if (first === undefined) return;
    const waitMs = Math.max(first.idleSince - oldest, 100);
    this.#sweep = this.#clock.setTimer(() => this.#closeIdle(), waitMs);
  }
}

function leave(host: Host): void {
  host.sessions -= 1;
  if (host.sessions === 0) host.fullUntil = -Infinity;
}
