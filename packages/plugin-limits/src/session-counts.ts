/**
 * Open sessions by client network and by user: exactly those of this process, and those of others as they last said. Each process
 * writes what it has to the state store, for a few seconds, so that what a dead one wrote goes by itself.
 */
import { isPromise, type Clock, type Session, type StateSpace, type Timer } from "@postern/core";

export type SessionSpace = Pick<StateSpace<number>, "put" | "delete" | "scan">;

const publishEveryMs = 1000;
const lifetimeMs = 15_000;
const refreshMs = 5000;
const mostOthers = 100;

interface Group {
  /** By session id; the mark is gone from its session's slot when the session is over. */
  readonly sessions: Map<string, { readonly session: Session; readonly mark: object }>;
  others: number;
  published: number;
  /** Monotonic. */
  publishedAt: number;
}

export class SessionCounts {
  readonly #space: SessionSpace;
  readonly #clock: Clock;
  readonly #markOf: (session: Session) => object;
  readonly #instance: string;
  readonly #troubled: (error: unknown) => void;
  readonly #groups = new Map<string, Group>();
  #timer: Timer | undefined;
  #publishing: Promise<void> | undefined;

  /** `markOf`: a slot of the session's, `instance`: one word for this process. */
  constructor(
    space: SessionSpace,
    clock: Clock,
    markOf: (session: Session) => object,
    instance: string,
    troubled: (error: unknown) => void,
  ) {
    this.#space = space;
    this.#clock = clock;
    this.#markOf = markOf;
    this.#instance = instance;
    this.#troubled = troubled;
  }

  /** One more open session of that name, until `leave`; true when there are more than `most` of them. */
  exceeds(key: string, session: Session, most: number): boolean {
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { sessions: new Map(), others: 0, published: 0, publishedAt: -Infinity };
      this.#groups.set(key, group);
    }
    group.sessions.set(session.id, { session, mark: this.#markOf(session) });
    this.#arm();
    if (group.sessions.size + group.others <= most) return false;
    this.#prune(group);
    return group.sessions.size + group.others > most;
  }

  leave(key: string, { id }: Session): void {
    if (this.#groups.get(key)?.sessions.delete(id) === true) this.#arm();
  }

  /** Tells the others, and hears of them. Never rejects. */
  publish(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#publishing ??= this.#publish().finally(() => (this.#publishing = undefined));
    return this.#publishing;
  }

  /** What this process had open is nobody's any more. */
  async close(): Promise<void> {
    await this.#publishing;
    for (const { sessions } of this.#groups.values()) sessions.clear();
    await this.publish();
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer ??= this.#clock.setTimer(() => void this.publish(), publishEveryMs);
  }

  /** Sessions whose end nobody told us: in a crush reports are dropped. */
  #prune({ sessions }: Group): void {
    for (const [id, { session, mark }] of sessions) if (this.#markOf(session) !== mark) sessions.delete(id);
  }

  async #publish(): Promise<void> {
    try {
      for (const [key, group] of this.#groups) await this.#publishGroup(key, group);
    } catch (error) {
      this.#troubled(error);
    }
    if (this.#groups.size > 0) this.#arm();
  }

  async #publishGroup(key: string, group: Group): Promise<void> {
    const now = this.#clock.monotonic();
    // Or the others would hear of them for good.
    this.#prune(group);
    const { size } = group.sessions;
    const own = `${key} ${this.#instance}`;
    if (size === 0) {
      this.#groups.delete(key);
      if (group.published > 0) await this.#space.delete(own);
      return;
    }
    if (size !== group.published || now - group.publishedAt >= refreshMs) {
      await this.#space.put(own, size, lifetimeMs);
      group.published = size;
      group.publishedAt = now;
    }
    const said = this.#space.scan(`${key} `, mostOthers);
    const known = isPromise(said) ? await said : said;
    // A key may begin as another does: users' names have blanks.
    const others = known.filter(([name]) => name !== own && name.lastIndexOf(" ") === key.length);
    group.others = others.reduce((sum, [, count]) => sum + count, 0);
  }
}
