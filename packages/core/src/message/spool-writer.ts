/** A spool's end of its file: opened with the first octets, one call after another, the first failure kept. */
import { PosternError } from "../errors.ts";
import type { SpoolFile, SpoolFiles } from "./spool-file.ts";

export class SpoolWriter {
  file: SpoolFile | undefined;
  error: PosternError | undefined;
  readonly #files: SpoolFiles;
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(files: SpoolFiles) {
    this.#files = files;
  }

  /** Resolves when the octets are with the system; a failure is in `error`. */
  append(chunks: readonly Buffer[]): Promise<void> {
    return this.#then(async () => {
      if (this.#closed || this.error !== undefined) return;
      this.file ??= await this.#files.create();
      await this.file.append(chunks);
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#then(async () => {
      const { file } = this;
      this.file = undefined;
      await file?.dispose();
    });
  }

  #then(step: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(step).catch((cause: unknown) => {
      this.error ??= spoolError(cause);
    });
    return this.#work;
  }
}

function spoolError(cause: unknown): PosternError {
  const code = (cause as NodeJS.ErrnoException).code;
  const full = code === "ENOSPC" || code === "EDQUOT";
  return new PosternError(
    full ? "STORE_FULL" : "STORE_UNAVAILABLE",
    `cannot spool a message: ${(cause as Error).message}`,
    { cause },
  );
}
