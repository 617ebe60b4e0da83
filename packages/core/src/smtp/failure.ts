/** The one place where an error becomes a reply. The peer never sees the error's text. */
import { PosternError } from "../errors.ts";
import { PipeObjection } from "../hooks/index.ts";
import { internalError, reply, type Reply } from "../model/index.ts";

/** The queue's disk is nearly full (RFC 5321 §4.2.3). */
export const noSpace = reply(452, "4.3.1", "Insufficient system storage, try again later");

export function replyForError(error: unknown): Reply {
  if (error instanceof PipeObjection) return error.objection.reply;
  return error instanceof PosternError && error.code === "STORE_FULL" ? noSpace : internalError;
}
