/**
 * Users and groups that stand in no file (LDAP, sssd, winbind): Node has no way into the C library's name service, getent(1)
 * is one. A child for a question, few at a time: who asks more than they answer hears that the table is unavailable.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { TableUnavailable } from "@postern/core";

const childrenAtOnce = 4;
const waitingAtMost = 1_000;
const childTimeoutMs = 10_000;
/** getent's exit status for a name that nobody knows. */
const unknownName = 2;

/** What a name may look like to be asked for: no options, no numbers (getent takes those as ids). */
const nameForm = /^[a-z_][a-z0-9_.@\\$-]{0,255}$/;

/** Services whose users need no question: they are in the file, or no mail is for them. */
const filed: ReadonlySet<string> = new Set(["files", "compat", "systemd", "db"]);

/** Whether nsswitch.conf names a service for this database that files do not answer for. */
export async function asksElsewhere(database: string, path: string = "/etc/nsswitch.conf"): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    return false;
  }
  const line = text.split("\n").find((candidate) => candidate.trimStart().startsWith(`${database}:`));
  const services =
    (line ?? "")
      .replace(/#.*/, "")
      .replace(/\[[^\]]*\]/g, " ")
      .split(":")[1] ?? "";
  return services.split(/\s+/).some((service) => service !== "" && !filed.has(service));
}

export class NameService {
  readonly #label: string;
  readonly #database: string;
  readonly #program: string;
  readonly #ended = new AbortController();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(label: string, database: string, program: string = "getent") {
    this.#label = label;
    this.#database = database;
    this.#program = program;
  }

  /** The line of a name, `undefined` when nobody knows it. Rejects with `TableUnavailable`. */
  async ask(name: string): Promise<string | undefined> {
    if (!nameForm.test(name)) return undefined;
    if (this.#waiting.length >= waitingAtMost) throw new TableUnavailable(this.#label, "too many wait for getent");
    if (this.#running < childrenAtOnce) this.#running += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      if (this.#ended.signal.aborted) throw new TableUnavailable(this.#label, "it is closed");
      return await this.#run(name);
    } finally {
      // The place goes to who waits longest.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  close(): void {
    this.#ended.abort();
  }

  #run(name: string): Promise<string | undefined> {
    const options = {
      timeout: childTimeoutMs,
      maxBuffer: 2 ** 20,
      signal: this.#ended.signal,
      encoding: "utf8",
    } as const;
    return new Promise((resolve, reject) => {
      execFile(this.#program, [this.#database, "--", name], options, (error, output) => {
        if (error === null) resolve(output.split("\n")[0]);
        else if (error.code === unknownName) resolve(undefined);
        else
          reject(new TableUnavailable(this.#label, `getent failed (${error.code ?? error.signal})`, { cause: error }));
      });
    });
  }
}
