/** Many questions in a file: JSON lines, each with the options of `postern explain` as its fields. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { explainIssues, type ExplainedVerdict, type Question } from "@postern/core";
import { z } from "zod";
import { UsageError } from "../failure.ts";

const text = z.string().max(4096);

const caseSchema = z.strictObject({
  /** For the operator. */
  name: text.optional(),
  /** `IP` or `IP=name`. */
  client: text,
  helo: text.optional(),
  from: text,
  to: z.union([text, z.array(text).min(1)]),
  auth: text.optional(),
  tls: z.boolean().optional(),
  /** A file, from the folder of the cases. */
  message: text.optional(),
  listener: text.optional(),
  expect: z.enum(["accepted", "refused", "deferred"]).optional(),
});

export interface Case {
  readonly name: string;
  readonly question: Question;
  readonly expect: ExplainedVerdict | undefined;
}

/** Throws `UsageError` that names the line. */
export function readCases(file: string): readonly Case[] {
  const cases: Case[] = [];
  for (const [index, line] of readText(file).split("\n").entries()) {
    if (line.trim() === "" || line.trimStart().startsWith("#")) continue;
    const place = `${file}:${index + 1}`;
    const value = parseJson(line, place);
    const parsed = caseSchema.safeParse(value);
    if (!parsed.success) {
      const problems = explainIssues(parsed.error.issues, { file: place, schema: caseSchema, value });
      throw new UsageError(problems.map(({ message }) => `${place}: ${message}`).join("\n"));
    }
    const { name = place, client, helo, from, to, auth, tls, message, listener, expect } = parsed.data;
    const content = message === undefined ? undefined : readFile(resolve(dirname(file), message));
    const question = questionOf({ client, helo, from, to: [to].flat(), auth, tls, message: content, listener });
    cases.push({ name, question, expect });
  }
  return cases;
}

export interface Written extends Omit<Question, "helo" | "clientName"> {
  readonly helo?: string | undefined;
}

/** `IP=name` taken apart, and a HELO such as this client would say. */
export function questionOf({ client, helo, ...rest }: Written): Question {
  const equals = client.indexOf("=");
  const address = (equals < 0 ? client : client.slice(0, equals)).replace(/^\[(.*)\]$/, "$1");
  const name = equals < 0 ? undefined : client.slice(equals + 1);
  const literal = address.includes(":") ? `[IPv6:${address}]` : `[${address}]`;
  return {
    ...rest,
    client: address,
    clientName: name,
    helo: helo ?? (name === "unknown" ? literal : (name ?? literal)),
  };
}

export function readFile(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? "unknown error"}`);
  }
}

function readText(file: string): string {
  return Buffer.from(readFile(file)).toString("utf8");
}

function parseJson(line: string, place: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new UsageError(`${place}: this is no JSON`);
  }
}
