/**
 * Threads that check passwords: a bounded number of them, started when needed, with a bounded queue. A hash is slow by design and
 * must stop neither the event loop nor the thread pool of node, which belongs to files.
 */
import { Worker } from "node:worker_threads";
import type { Clock } from "@postern/core";
import type { HashAnswer, HashQuestion } from "./hash-worker.ts";

/** No answer, whatever the password: too much is asked, or a thread failed. */
export class HashUnavailable extends Error {}

export interface HashPoolOptions {
  readonly threads: number;
  /** Questions that wait for a thread. */
  readonly waiting: number;
  /** For one question with its waiting; a thread that is at it then is ended. */
  readonly deadlineMs: number;
  readonly clock: Clock;
}

export interface HashPool {
  /** Rejects with `HashUnavailable`. */
  verify(password: string, hash: string, signal?: AbortSignal): Promise<boolean>;
  close(): Promise<void>;
}

const workerFile = new URL(import.meta.url.endsWith(".ts") ? "./hash-worker.ts" : "./hash-worker.js", import.meta.url);

interface Job {
  readonly question: HashQuestion;
  readonly settle: (answer: HashAnswer | HashUnavailable) => void;
}

class Thread {
  job: Job | undefined;
  readonly worker = new Worker(workerFile);
}

export function createHashPool({ threads, waiting, deadlineMs, clock }: HashPoolOptions): HashPool {
  const running = new Set<Thread>();
  const queue: Job[] = [];
  let closed = false;

  function start(): Thread {
    const thread = new Thread();
    const { worker } = thread;
    // A process that has nothing else to do waits for no thread.
    worker.once("online", () => worker.unref());
    const gone = (): void => {
      running.delete(thread);
      thread.job?.settle(new HashUnavailable("its thread ended"));
      thread.job = undefined;
      next();
    };
    worker.on("message", (answer: HashAnswer) => {
      const { job } = thread;
      thread.job = undefined;
      job?.settle(answer);
      next();
    });
    worker.on("error", gone);
    worker.on("exit", gone);
    running.add(thread);
    return thread;
  }

  function next(): void {
    while (queue.length > 0 && !closed) {
      let idle = [...running].find(({ job }) => job === undefined);
      if (idle === undefined && running.size < threads) idle = start();
      if (idle === undefined) return;
      const job = queue.shift();
      if (job === undefined) return;
      idle.job = job;
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      idle.worker.postMessage(job.question);
    }
  }

  /** Nobody waits for it any more. A thread that is at it is ended when `hard`, else left to finish. */
  function drop(job: Job, hard: boolean): void {
    const place = queue.indexOf(job);
    if (place >= 0) queue.splice(place, 1);
    else if (hard) for (const thread of running) if (thread.job === job) void thread.worker.terminate();
  }

  return {
    verify(password, hash, signal) {
      if (closed) return Promise.reject(new HashUnavailable("it is closed"));
      if (queue.length >= waiting) return Promise.reject(new HashUnavailable("too many passwords wait to be checked"));
      return new Promise((resolve, reject) => {
        const finish = (answer: HashAnswer | HashUnavailable): void => {
          timer.cancel();
          signal?.removeEventListener("abort", gone);
          if ("same" in answer) resolve(answer.same);
          else
            reject(
              answer instanceof HashUnavailable ? answer : new HashUnavailable(`checking failed: ${answer.error}`),
            );
        };
        const job: Job = { question: { password, hash }, settle: finish };
        const gone = (): void => {
          drop(job, false);
          finish(new HashUnavailable("the client is gone"));
        };
        const timer = clock.setTimer(() => {
          drop(job, true);
          finish(new HashUnavailable(`no answer within ${deadlineMs} ms`));
        }, deadlineMs);
        signal?.addEventListener("abort", gone);
        queue.push(job);
        next();
      });
    },
    async close() {
      closed = true;
      for (const { settle } of queue.splice(0)) settle(new HashUnavailable("it is closed"));
      await Promise.all([...running].map(({ worker }) => worker.terminate()));
    },
  };
}
