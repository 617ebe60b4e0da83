/** For the tests of this package: the words behind the whole language, asked as a session asks them. */
import {
  compilePolicy,
  createAddressBook,
  createGuard,
  createStaticResolver,
  createTableRegistry,
  createVocabulary,
  formatReply,
  systemClock,
  type Clock,
  type Failed,
  type PolicyConfig,
  type PolicyQuestion,
  type Resolver,
} from "@postern/core";
import { sampleRecipient, sampleSession, sampleTransaction, type SessionSample } from "@postern/testkit";
import { options as optionSchema } from "./options.ts";
import { registerWords } from "./words.ts";

const owner = { name: "access", onError: "defer", deadlineMs: 10_000 } as const;

export interface Setup {
  readonly options?: object;
  readonly dns?: Resolver;
  readonly clock?: Clock;
  readonly directory?: string;
  readonly recipientDelimiter?: string;
}

export interface Asked {
  readonly session?: SessionSample;
  readonly sender?: string;
  readonly recipient?: string;
  readonly original?: string;
  /** Accepted before. */
  readonly recipients?: readonly string[];
}

/**
 * `ours.example` is a relay domain; of `listed.example` only `known@` and `list@` exist, of `here.example` only `user@`, who has an
 * account here; `alias.example` has nobody.
 */
export async function setUp(config: PolicyConfig, setup: Setup = {}) {
  const { dns = createStaticResolver({}), clock = systemClock, recipientDelimiter = "" } = setup;
  const failures: Failed[] = [];
  const notes: string[] = [];
  const guard = createGuard(clock, (failed) => failures.push(failed));
  const tables = createTableRegistry({
    directory: setup.directory ?? "/nonexistent",
    clock,
    guard,
    warn: (text) => notes.push(text),
  });
  const vocabulary = createVocabulary();
  registerWords(
    { dns, clock, deadlineMs: undefined, restriction: (word) => vocabulary.register(word, owner) },
    optionSchema.parse(setup.options ?? {}),
  );
  const openTable: typeof tables.open = (spec) => tables.open(spec);
  const addresses = await createAddressBook(
    {
      local: { domains: ["here.example"], recipients: ["user@here.example"] },
      relay: { domains: ["ours.example"] },
      virtualMailbox: { domains: ["listed.example"], recipients: ["known@listed.example", "list@listed.example"] },
      virtualAlias: { domains: ["alias.example"] },
    },
    { recipientDelimiter, openTable },
  );
  const note = ({ text }: { text: string }): void => void notes.push(text);
  const policy = await compilePolicy(config, vocabulary, { clock, guard, addresses, openTable, note });
  return { policy, notes, failures, vocabulary };
}

export function questionOf(asked: Asked): PolicyQuestion {
  const { session, sender, recipient = "known@listed.example", original, recipients = [] } = asked;
  return {
    session: sampleSession(session),
    transaction: sampleTransaction({
      ...(sender === undefined ? {} : { sender }),
      recipients: recipients.map((address) => sampleRecipient(address)),
    }),
    recipient: sampleRecipient(recipient, original === undefined ? {} : { original }),
  };
}

/** What the client hears at RCPT: "ok" or the reply. */
export async function ask(config: PolicyConfig, asked: Asked, setup?: Setup): Promise<string> {
  const { policy } = await setUp(config, setup);
  const objection = await policy.start().ask("rcpt", questionOf(asked));
  return objection === undefined ? "ok" : formatReply(objection.reply);
}

/** The words of one list in `rcpt`, without the default `relay` list. */
export function askRcpt(list: string | readonly [string, ...unknown[]], asked: Asked, setup?: Setup): Promise<string> {
  return ask({ lists: { relay: [], rcpt: [list] } }, asked, setup);
}
