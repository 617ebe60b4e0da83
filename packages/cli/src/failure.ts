/** The end of a command that went wrong: one clear sentence or a JSON object on standard error, and an exit status. */
import { ConfigProblems, PosternError, type Problem } from "@postern/core";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";

/** A wrong command line. */
export class UsageError extends Error {}

/** A sentence with an exit status of its own. */
export class CommandError extends Error {
  readonly exitCode: number;
  readonly code: string;
  constructor(message: string, exitCode: number, code: string) {
    super(message);
    this.exitCode = exitCode;
    this.code = code;
  }
}

export interface Failure {
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
  readonly problems?: readonly Problem[];
}

export function failureOf(error: unknown): Failure {
  if (error instanceof UsageError) return { exitCode: exitCodes.usage, code: "USAGE", message: error.message };
  if (error instanceof CommandError) return error;
  if (error instanceof PosternError) {
    const { code, message } = error;
    const failure = { exitCode: exitCodeOf(code, error.cause), code, message };
    return error instanceof ConfigProblems ? { ...failure, problems: error.problems } : failure;
  }
  const message = error instanceof Error ? error.message : String(error);
  return { exitCode: exitCodes.software, code: "INTERNAL", message: `unexpected error: ${message}` };
}

export function formatFailure({ code, message, problems, exitCode }: Failure, json: boolean): string {
  if (json) {
    return `${JSON.stringify({ error: { code, exitCode, message, ...(problems === undefined ? {} : { problems }) } })}\n`;
  }
  return `${message
    .split("\n")
    .map((line) => `postern: ${line}`)
    .join("\n")}\n`;
}
