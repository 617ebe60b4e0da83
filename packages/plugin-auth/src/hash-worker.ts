/** The worker: one password against one hash at a time. */
import { parentPort } from "node:worker_threads";
import { verifyPassword } from "./compute.ts";

export interface HashQuestion {
  readonly password: string;
  readonly hash: string;
}

/** An error as its message: hashes and passwords are in none. */
export type HashAnswer = { readonly same: boolean } | { readonly error: string };

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.on("message", ({ password, hash }: HashQuestion) => parentPort?.postMessage(answer(password, hash)));

function answer(password: string, hash: string): HashAnswer {
  try {
    return { same: verifyPassword(password, hash) };
  } catch (error) {
    return { error: error instanceof Error ? error.name : "unknown" };
  }
}
