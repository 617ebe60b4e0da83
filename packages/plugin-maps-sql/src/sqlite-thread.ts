/**
 * A SQLite file in a thread of its own: SQLite answers at once or not at all, and a query without an index, or a disk that stands
 * still, would be the whole gateway's. One question at a time; one that takes too long ends the thread.
 */
import { Worker } from "node:worker_threads";
import { longestAnswer, type Clock } from "@postern/core";
import type { SqliteAnswer, SqliteOrder, SqliteQuestion } from "./sqlite-worker.ts";

export type SqliteRows = (string | null)[][];

/** More than one answer may be: of this key alone. */
export class AnswerTooLong extends Error {}

const workerFile = new URL(
  import.meta.url.endsWith(".ts") ? "./sqlite-worker.ts" : "./sqlite-worker.js",
  import.meta.url,
);

export class SqliteThread {
  /** Resolves when nothing of it runs any more: SQLite cannot be interrupted in the middle of a step. */
  readonly exited: Promise<void>;
  /** Resolves when it can be asked, which takes longer than most queries, or has ended. */
  readonly started: Promise<void>;
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #settle: ((answer: SqliteAnswer | Error) => void) | undefined;
  #over: Error | undefined;
  #stuck = false;

  constructor(filename: string, timeoutMs: number, clock: Clock) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    const workerData: SqliteOrder = { filename, longest: longestAnswer };
    this.#worker = new Worker(workerFile, { workerData });
    // A process that has nothing else to do waits for a thread that begins or is asked, and for no other.
    this.#worker.once("online", () => this.#worker.unref());
    this.#worker.on("message", (answer: SqliteAnswer) => this.#settle?.(answer));
    this.#worker.on("error", (error) => this.end(error));
    this.started = new Promise((resolve) => {
      for (const event of ["online", "exit"]) this.#worker.once(event, () => resolve());
    });
    this.exited = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        this.end(new Error("its thread ended"));
        resolve();
      });
    });
  }

  /** It was ended in the middle of a query, which goes on. */
  get isStuck(): boolean {
    return this.#stuck;
  }

  get usable(): boolean {
    return this.#over === undefined;
  }

  /** Rejects with SQLite's words and its `errcode`, with `AnswerTooLong`, or with what ended the thread. */
  async ask(question: SqliteQuestion): Promise<SqliteRows> {
    const answer = await this.#send(question);
    if ("rows" in answer) return answer.rows;
    if ("tooLong" in answer) throw new AnswerTooLong(`an answer longer than ${longestAnswer} characters`);
    throw Object.assign(new Error(answer.message), { errcode: answer.errcode });
  }

  end(error: Error): void {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.#stuck = this.#settle !== undefined;
    this.#settle?.(error);
    void this.#worker.terminate();
  }

  #send(question: SqliteQuestion): Promise<SqliteAnswer> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(
        () => this.end(new Error(`no answer within ${this.#timeoutMs} ms`)),
        this.#timeoutMs,
      );
      const settle = (answer: SqliteAnswer | Error): void => {
        this.#settle = undefined;
        timer.cancel();
        this.#worker.unref();
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      };
      this.#settle = settle;
      this.#worker.ref();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- the port of a thread, no window
      this.#worker.postMessage(question);
    });
  }
}
