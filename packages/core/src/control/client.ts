/** Asks a running gateway. */
import { connect } from "node:net";
import { join } from "node:path";
import { PosternError } from "../errors.ts";
import {
  createLineReader,
  longestAnswerBytes,
  socketName,
  type ControlAnswer,
  type ControlRequest,
} from "./protocol.ts";

export interface AskOptions {
  /** For the answer; 10 s. */
  readonly timeoutMs?: number;
  /** Resolve only when the gateway has closed the socket: it has stopped. */
  readonly untilClosed?: boolean;
}

/** The result. Throws `CONTROL_UNAVAILABLE` when no gateway answers, or with the gateway's own words; its code is the cause's then. */
export function askControl(directory: string, request: ControlRequest, options: AskOptions = {}): Promise<unknown> {
  const { timeoutMs = 10_000, untilClosed = false } = options;
  const path = join(directory, socketName);
  return new Promise((resolve, reject) => {
    const read = createLineReader(longestAnswerBytes);
    let answer: ControlAnswer | undefined;
    const socket = connect(path, () => socket.write(`${JSON.stringify(request)}\n`));
    const timer = setTimeout(
      () => end(unavailable(`the gateway on ${path} gave no answer in ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    const end = (error?: PosternError): void => {
      clearTimeout(timer);
      socket.destroy();
      if (error !== undefined) reject(error);
      else if (answer === undefined) reject(unavailable(`the gateway on ${path} ended without an answer`));
      else if (answer.ok) resolve(answer.result);
      else reject(unavailable(answer.error.message, answer.error));
    };
    socket.on("error", (cause: NodeJS.ErrnoException) => {
      // Once it has answered, an end in whatever manner is an end.
      if (answer === undefined) end(unavailable(faultOf(path, cause), cause));
      else end();
    });
    socket.on("data", (chunk) => {
      const line = read(chunk)?.[0];
      if (line === undefined) return;
      answer = JSON.parse(line) as ControlAnswer;
      if (!untilClosed || !answer.ok) end();
    });
    socket.on("close", () => end());
  });
}

function unavailable(message: string, cause?: unknown): PosternError {
  return new PosternError("CONTROL_UNAVAILABLE", message, cause === undefined ? {} : { cause });
}

function faultOf(path: string, { code }: NodeJS.ErrnoException): string {
  if (code === "ENOENT" || code === "ECONNREFUSED") return `no gateway is running: nobody answers on ${path}`;
  if (code === "EACCES") return `${path} belongs to another user; ask as that user or as root`;
  return `the gateway on ${path} cannot be reached (${code})`;
}
