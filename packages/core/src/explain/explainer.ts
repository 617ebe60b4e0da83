/**
 * A config's generation asked what it would do: the real lists, tables, DNS and SMTP front, in process. Nothing is queued, no port is
 * bound, plugins' state is an overlay that is forgotten, hooks that only report hear nothing.
 */
import { loadInstances } from "../config-check.ts";
import type { ResolvedConfig } from "../config/index.ts";
import { createResolver } from "../dns/index.ts";
import type { Generation, GenerationListing } from "../generation-contract.ts";
import { buildGeneration } from "../generation.ts";
import { logText, systemClock, type Envelope } from "../model/index.ts";
import type { RuntimeOptions } from "../runtime-contract.ts";
import type { Explained, ExplainedStep, Question } from "./explained.ts";
import { Explanation } from "./explanation.ts";
import { checkQuestion } from "./question.ts";
import { Tracing } from "./tracing.ts";

export interface ExplainOptions extends Pick<RuntimeOptions, "searchFrom" | "instances" | "resolver" | "clock"> {
  /** Words and scanners that talk to services are asked too. False. */
  readonly live?: boolean;
  /** Words read what the gateway's state store holds; else they find it empty. True. */
  readonly readState?: boolean;
  /** Told what a start would tell, one safe line each. */
  readonly warn?: (text: string) => void;
}

export interface Explainer {
  readonly listing: GenerationListing;
  /** One after another. Throws `RangeError` for a question that nobody can ask. */
  explain(question: Question): Promise<Explained>;
  /** What a recipient becomes before it is queued. Never rejects: `error` says why it cannot be told. */
  rewrite(address: string): Promise<Rewritten>;
  close(): Promise<void>;
}

export interface Rewritten {
  readonly recipients: readonly string[];
  /** As far as it came. */
  readonly steps: readonly ExplainedStep[];
  readonly error?: string;
}

/** Rejects as a start would. */
export async function createExplainer(config: ResolvedConfig, options: ExplainOptions = {}): Promise<Explainer> {
  const { clock = systemClock, live = false, readState = true, searchFrom = [], warn = () => undefined } = options;
  const tracing = new Tracing({
    clock,
    resolver: options.resolver ?? createResolver({ ...config.dns, clock }),
    live,
    readState,
    stateDirectory: config.state.store === "sqlite" ? config.state.directory : undefined,
    warn,
  });
  try {
    let notes: string[] = [];
    const generation = await buildGeneration(config, await loadInstances(config, options), {
      clock,
      guard: tracing.guard,
      resolver: tracing.resolver,
      space: () => {
        throw new Error("explaining has spaces of its own");
      },
      log: (level, plugin, text) =>
        void (level === "warn" && warn(plugin === "core" ? text : `plugin ${plugin}: ${text}`)),
      note: ({ text }) => void notes.push(logText(text)),
      searchFrom,
      lookUpClients: true,
      dry: true,
      trace: tracing.generation,
    });
    let last: Promise<unknown> = Promise.resolve();
    return {
      listing: generation.listing,
      explain(question) {
        const answer = last.then(() => {
          notes = [];
          return new Explanation(checkQuestion(question), { config, generation, tracing, clock, live, notes }).run();
        });
        last = answer.catch(() => undefined);
        return answer;
      },
      rewrite(address) {
        const answer = last.then(() => rewriteOne(generation, address));
        last = answer;
        return answer;
      },
      async close() {
        await last;
        await generation.retire();
        tracing.close();
      },
    };
  } catch (error) {
    tracing.close();
    throw error;
  }
}

async function rewriteOne(generation: Generation, address: string): Promise<Rewritten> {
  const steps: ExplainedStep[] = [];
  const session = generation.forSession();
  const envelope = { sender: "", recipients: [{ address, original: address }], body: "7bit", smtputf8: false } as const;
  try {
    // An expansion without an end is long enough when this many steps are told.
    const trace = (step: ExplainedStep): void => void (steps.length < 50 && steps.push(step));
    const rewritten = await session.rewriter?.rewrite<Envelope>(envelope, { session: undefined, trace });
    return { recipients: (rewritten ?? envelope).recipients.map((recipient) => recipient.address), steps };
  } catch (error) {
    return { recipients: [], steps, error: logText((error as Error).message) };
  } finally {
    session.release();
  }
}
