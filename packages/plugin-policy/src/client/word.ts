/** `check_policy_service`: does what a policy service says about the client's request (Postfix's SMTPD_POLICY_README). */
import {
  ConfigError,
  describeSubject,
  logText,
  readAccessRule,
  stages,
  type AccessRule,
  type Answer,
  type Ask,
  type CompileScope,
  type Judge,
  type MaybePromise,
  type Restriction,
} from "@postern/core";
import { z } from "zod";
import type { Notes } from "../notes.ts";
import { composeRequest } from "./request.ts";
import type { Service } from "./service.ts";

/** Actions of one service, kept read: most of its answers are the same few. */
const mostRead = 200;

const oneService: z.ZodType<[string]> = z.tuple([z.string().min(1).meta({ title: "service" })]);

export interface WordParts {
  /** The service that an argument names, the same for the same. Throws `ConfigError`. */
  readonly service: (argument: string) => Service;
  readonly notes: Notes;
  readonly info: (text: string) => void;
  /** For whatever a service may be waited for. */
  readonly deadlineMs: number;
}

export function checkPolicyService(parts: WordParts): Restriction<[string]> {
  return {
    name: "check_policy_service",
    stages,
    args: oneService,
    description:
      "Asks a policy service and does what it says, as a table's value would: OK, DUNNO, REJECT, 4NN or 5NN with a text, PREPEND, restrictions by name, and so on.",
    asksService: true,
    deadlineMs: parts.deadlineMs,
    async compile([argument], scope) {
      const service = parts.service(argument);
      const { defaultAction } = service.settings;
      try {
        const standing = await readAccessRule(defaultAction, scope);
        return new PolicyWord(service, standing, scope, parts).judge;
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        throw new ConfigError(`default action "${defaultAction}": ${error.message}`, { cause: error });
      }
    },
  };
}

/** One use of the word in a list. */
class PolicyWord {
  readonly #service: Service;
  readonly #standing: AccessRule;
  readonly #scope: CompileScope;
  readonly #parts: WordParts;
  readonly #read = new Map<string, AccessRule>();
  #failures = 0;
  /** The log says that it fails. */
  #told = false;

  constructor(service: Service, standing: AccessRule, scope: CompileScope, parts: WordParts) {
    this.#service = service;
    this.#standing = standing;
    this.#scope = scope;
    this.#parts = parts;
  }

  readonly judge: Judge = (ask) => {
    const request = composeRequest(ask, this.#service.settings.context);
    return this.#service.ask(request).then(
      (action) => this.#follow(action, ask),
      (error: unknown) => this.#stand(ask, error),
    );
  };

  /** Throws nothing of its own: an action that cannot be read is no answer. */
  async #follow(action: string, ask: Ask): Promise<Answer> {
    let rule = this.#read.get(action);
    if (rule === undefined) {
      try {
        rule = await readAccessRule(action, this.#scope);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        return this.#stand(ask, new Error(`action "${action}": ${error.message}`));
      }
      if (this.#read.size >= mostRead) this.#read.delete(this.#read.keys().next().value ?? "");
      this.#read.set(action, rule);
    }
    this.#answered();
    return rule(describeSubject(ask), ask);
  }

  #stand(ask: Ask, error: unknown): MaybePromise<Answer> {
    const { settings } = this.#service;
    this.#failures += 1;
    const why = logText(error instanceof Error ? error.message : error, 200);
    const told = this.#parts.notes.warn(
      settings.name,
      `policy service ${settings.name}: ${why}; its default action "${settings.defaultAction}" stands`,
    );
    this.#told ||= told;
    return this.#standing(describeSubject(ask), ask);
  }

  #answered(): void {
    if (!this.#told) return;
    const plural = this.#failures === 1 ? "question" : "questions";
    this.#parts.info(
      `policy service ${this.#service.settings.name}: answers again, after ${this.#failures} ${plural} without`,
    );
    this.#failures = 0;
    this.#told = false;
  }
}
