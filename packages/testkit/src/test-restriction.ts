/** A restriction word under test: compiled and asked as the policy language does, its answers held to the contract. */
import {
  checkAnswer,
  ConfigError,
  createGuard,
  createTableRegistry,
  Failed,
  stages,
  type AddressClass,
  type Ask,
  type CompileScope,
  type Recipient,
  type Restriction,
  type Stage,
  type Transaction,
} from "@postern/core";
import { assertSaid, formatAnswer, runCases, type Expected } from "./cases.ts";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";
import { sampleMessage, sampleRecipient, sampleSession, sampleTransaction, type SessionSample } from "./samples.ts";

export interface RestrictionCase {
  readonly name: string;
  /** As in the config, after the word. */
  readonly args?: readonly unknown[];
  /** The word's first stage unless given. */
  readonly stage?: Stage;
  readonly session?: SessionSample;
  readonly transaction?: Partial<Transaction>;
  readonly recipient?: string | Partial<Recipient>;
  readonly message?: string;
  /** Moves the clock before the question. State is kept from case to case. */
  readonly advanceMs?: number;
  readonly dry?: boolean;
  /** As `formatAnswer` says it, or `fails: reason` when it throws, or `config: message` when it does not compile. */
  readonly expect: Expected;
}

export interface RestrictionTest {
  readonly cases: readonly RestrictionCase[];
  readonly clock?: FakeClock;
  /** Domains that are ours; all others are of class `default`. */
  readonly domains?: Readonly<Record<string, AddressClass>>;
  /** Addresses that do not exist in our domains. */
  readonly unlisted?: readonly string[];
  /** For relative table names. */
  readonly directory?: string;
}

/** Rejects with every case that went otherwise, and with what is wrong about the word itself. */
export async function testRestriction<Args extends readonly unknown[]>(
  restriction: Restriction<Args>,
  options: RestrictionTest,
): Promise<void> {
  const { name, description, stages: own } = restriction;
  if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new Error(`a word is snake_case: ${JSON.stringify(name)}`);
  if (description.length < 10) throw new Error(`${name}: the description is what users read in "postern words"`);
  if (own.length === 0 || own.some((stage) => !stages.includes(stage)))
    throw new Error(`${name}: stages are ${stages.join(", ")}`);
  const { clock = createFakeClock(), domains = {}, unlisted = [], directory = process.cwd() } = options;
  const guard = createGuard(clock, () => undefined);
  const tables = createTableRegistry({ directory, clock, guard, warn: () => undefined });
  const owner = { name: "test", onError: "defer", deadlineMs: 10_000 } as const;
  const judges = new Map<string, Awaited<ReturnType<typeof restriction.compile>>>();

  const compile = async (args: readonly unknown[], stage: Stage) => {
    const key = JSON.stringify([args, stage]);
    const known = judges.get(key);
    if (known !== undefined) return known;
    const scope: CompileScope = {
      clock,
      stage,
      table: (spec) => tables.open(spec),
      addresses: {
        classOf: (domain) => domains[domain.toLowerCase()] ?? "default",
        isListed: (address) => !unlisted.includes(address),
        recipientDelimiter: "",
      },
      compile: () => Promise.reject(new ConfigError("no other words here")),
    };
    const parsed = restriction.args.safeParse(args);
    if (!parsed.success) throw new ConfigError(parsed.error.issues.map(({ message }) => message).join("; "));
    const judge = await restriction.compile(parsed.data, scope);
    judges.set(key, judge);
    return judge;
  };

  const ask = async (given: RestrictionCase): Promise<string> => {
    const stage = given.stage ?? own[0] ?? "rcpt";
    if (given.advanceMs !== undefined) clock.advance(given.advanceMs);
    let judge;
    try {
      judge = await compile(given.args ?? [], stage);
    } catch (error) {
      if (error instanceof ConfigError) return `config: ${error.message}`;
      throw error;
    }
    const answer = await guard.run(owner, name, checkAnswer, judge, questionOf(given, stage));
    return answer instanceof Failed ? `fails: ${answer.reason}` : formatAnswer(answer);
  };

  try {
    await runCases(`restriction ${name}`, options.cases, async (given) => assertSaid(await ask(given), given.expect));
  } finally {
    await tables.close();
  }
}

/** What is known at a stage, and no more. */
function questionOf(given: RestrictionCase, stage: Stage): Ask {
  const at = stages.indexOf(stage);
  const recipient =
    typeof given.recipient === "object"
      ? { ...sampleRecipient(), ...given.recipient }
      : sampleRecipient(given.recipient);
  return {
    stage,
    session: sampleSession(given.session),
    transaction: at >= stages.indexOf("mail") ? sampleTransaction(given.transaction) : undefined,
    recipient: stage === "relay" || stage === "rcpt" ? recipient : undefined,
    message: stage === "message" ? sampleMessage(given.message) : undefined,
    dry: given.dry ?? false,
  };
}
