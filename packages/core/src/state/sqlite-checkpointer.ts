/**
 * Moves what was written from SQLite's journal into its file, in a thread of its own: that syncs the disk, and a disk may take its time.
 * Without the thread SQLite does it by itself, when the journal has grown large.
 */
import { Worker } from "node:worker_threads";

/** Entries written between two checkpoints. */
const every = 2000;

/** Text, so that nobody need find a file. It begins anew each time: the file may have been set aside meanwhile. */
const program = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { DatabaseSync } = require("node:sqlite");
  parentPort.on("message", () => {
    try {
      const database = new DatabaseSync(workerData, { timeout: 0 });
      try {
        database.exec("PRAGMA synchronous = NORMAL; PRAGMA wal_checkpoint(PASSIVE)");
      } finally {
        database.close();
      }
    } catch {
      // The next one may do it.
    }
    parentPort.postMessage("done");
  });`;

export class SqliteCheckpointer {
  readonly #path: string;
  #worker: Worker | undefined;
  #written = 0;
  #busy = false;

  constructor(path: string) {
    this.#path = path;
  }

  get isBusy(): boolean {
    return this.#busy;
  }

  wrote(entries: number): void {
    this.#written += entries;
    if (this.#written < every || this.#busy) return;
    this.#written = 0;
    try {
      this.#worker ??= this.#start();
    } catch {
      // The system gives us no thread, now or ever.
      return;
    }
    this.#busy = true;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- the port of a thread, no window
    this.#worker.postMessage("checkpoint");
  }

  /** A thread that is at work ends when it is done. */
  close(): void {
    void this.#worker?.terminate();
    this.#worker = undefined;
    this.#busy = false;
  }

  #start(): Worker {
    const resourceLimits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 };
    const worker = new Worker(program, { eval: true, workerData: this.#path, execArgv: [], resourceLimits });
    const over = (): void => {
      if (this.#worker === worker) this.close();
    };
    worker.on("message", () => {
      this.#busy = false;
    });
    worker.on("error", over);
    worker.on("exit", over);
    worker.unref();
    return worker;
  }
}
