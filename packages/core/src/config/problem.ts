/** Mistakes in a config: each one clear sentence that names file, path, what was expected and what stands there. */
import { ConfigError, type PosternErrorOptions } from "../errors.ts";

export interface Problem {
  /** The file as it was found or named. */
  readonly file: string;
  /** `listeners[0].port`; empty for the file as a whole. */
  readonly path: string;
  /** What is wrong, without file. */
  readonly message: string;
}

/** All mistakes of a file at once; the message has a line for each. */
export class ConfigProblems extends ConfigError {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[], options: PosternErrorOptions = {}) {
    super(problems.map(({ file, message }) => `${file}: ${message}`).join("\n"), options);
    this.problems = problems;
  }
}

/** `listeners[0].policy.rcpt`, `plugins[2][1].delay`, `policy.classes["odd name"]`. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[A-Za-z_$][\w$-]*$/.test(String(step))) text += text === "" ? String(step) : `.${String(step)}`;
    else text += `[${JSON.stringify(String(step))}]`;
  }
  return text;
}
