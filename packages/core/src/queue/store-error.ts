/** The system's errors in the store's words. */
import { PosternError } from "../errors.ts";

/** ENOSPC and EDQUOT are STORE_FULL, everything else STORE_UNAVAILABLE. `doing` completes "the queue cannot …". */
export function storeError(doing: string, cause: unknown): PosternError {
  if (cause instanceof PosternError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  const full = code === "ENOSPC" || code === "EDQUOT";
  return new PosternError(full ? "STORE_FULL" : "STORE_UNAVAILABLE", `the queue cannot ${doing}: ${message}`, {
    cause,
  });
}

export function isCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException | null | undefined)?.code === code;
}
