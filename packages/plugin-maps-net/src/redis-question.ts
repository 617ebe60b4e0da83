/** What Redis is asked: a command with templates for its arguments, or one template for a key that is got. */
import { ConfigError, parseTemplate, type Template } from "@postern/core";
import { ExchangeError } from "./exchange-error.ts";
import type { RedisReply } from "./resp.ts";

type RedisCommand = "GET" | "HGET" | "SISMEMBER" | "SMEMBERS";

export interface RedisQuestion {
  /** Command and arguments, `undefined` when the key lacks a part that a template names. Each argument travels with its length. */
  ask(key: string): string[] | undefined;
  /** The values of an answer, in octets; none when there is nothing. Throws `ExchangeError` for an answer that this command cannot have. */
  values(reply: RedisReply, asked: readonly string[]): readonly Buffer[];
}

/** Arguments of each command. */
const commands: Readonly<Record<RedisCommand, number>> = { GET: 1, HGET: 2, SISMEMBER: 2, SMEMBERS: 1 };

/** `mail:%s`, `HGET aliases %s`, or the words of an array. Throws `ConfigError`. */
export function parseQuestion(query: string | readonly string[], label: string): RedisQuestion {
  const words = typeof query === "string" ? query.split(/\s+/).filter((word) => word !== "") : query;
  const [first = "%s", ...rest] = words.length === 1 ? ["GET", ...words] : words;
  const command = first.toUpperCase() as RedisCommand;
  const wanted = Object.hasOwn(commands, command) ? commands[command] : undefined;
  if (wanted === undefined) {
    throw new ConfigError(
      `table ${label}: query "${words.join(" ")}": "${first}" is not one of ${Object.keys(commands).join(", ")}`,
    );
  }
  if (rest.length !== wanted) {
    throw new ConfigError(`table ${label}: query "${words.join(" ")}": ${command} takes ${wanted} argument(s)`);
  }
  const templates = rest.map((word) => parseTemplate(word, label));
  return {
    ask: (key) => expandAll(command, templates, key),
    values: (reply, asked) => readValues(command, reply, asked),
  };
}

function expandAll(command: string, templates: readonly Template[], key: string): string[] | undefined {
  const asked = [command];
  for (const template of templates) {
    const argument = template.expand(key);
    if (argument === undefined) return undefined;
    asked.push(argument);
  }
  return asked;
}

function readValues(command: RedisCommand, reply: RedisReply, asked: readonly string[]): readonly Buffer[] {
  if (command === "SISMEMBER") {
    if (reply === 0) return [];
    // The member itself, as a column that is selected by its own value; `result_format = OK` makes it a word.
    if (reply === 1) return [Buffer.from(asked[2] ?? "")];
  } else if (command === "SMEMBERS") {
    if (Array.isArray(reply)) return reply.toSorted((one: Buffer, two: Buffer) => one.compare(two));
  } else {
    if (reply === null) return [];
    if (Buffer.isBuffer(reply)) return [reply];
  }
  throw new ExchangeError("rubbish", `an answer that ${command} cannot have`);
}
