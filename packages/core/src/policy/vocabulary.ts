/** The words of a generation: registered by plugins, listed for `postern words`, looked up while lists are compiled. */
import { z } from "zod";
import { PluginError } from "../errors.ts";
import type { Owner } from "../guard/owner.ts";
import { stages, type Restriction, type Stage } from "./restriction.ts";

/** Words that belong to the language itself. */
export const languageWords = Object.freeze({
  warn_if_reject: "Before a word: what it would refuse is logged and not refused.",
  defer_if_permit: "Defers if a later word, or the end of the lists, permits.",
  defer_if_reject: "Defers if a later word of this list rejects.",
} as const);

export type LanguageWord = keyof typeof languageWords;

export function isLanguageWord(word: string): word is LanguageWord {
  return Object.hasOwn(languageWords, word);
}

export interface RegisteredWord {
  readonly restriction: Restriction;
  readonly owner: Owner;
  readonly arity: Arity;
}

/** How many arguments a word takes. */
export interface Arity {
  readonly least: number;
  readonly most: number;
}

export interface WordListing {
  readonly name: string;
  readonly description: string;
  readonly stages: readonly Stage[];
  /** JSON schema of the arguments. */
  readonly args: unknown;
  /** Stages in which its permit satisfies the relay guard. */
  readonly authorizes: readonly Stage[];
  /** The plugin; "core" for the language's own. */
  readonly plugin: string;
}

export interface Vocabulary {
  /** Throws `PluginError` for a name that is taken or no word, and for a restriction that lacks something. */
  register<Args extends readonly unknown[]>(restriction: Restriction<Args>, owner: Owner): void;
  get(word: string): RegisteredWord | undefined;
  /** All names, the language's own among them. */
  names(): readonly string[];
  words(): readonly WordListing[];
}

const wordForm = /^[a-z][a-z0-9_]{0,63}$/;

export function createVocabulary(): Vocabulary {
  const words = new Map<string, RegisteredWord>();
  return {
    register(typed, owner) {
      // Arguments are checked by the word's own schema before its `compile` sees them.
      const restriction = typed as unknown as Restriction;
      check(restriction, owner);
      const other = words.get(restriction.name)?.owner.name;
      if (other !== undefined) {
        throw new PluginError(owner.name, `word "${restriction.name}" is already registered by ${other}`);
      }
      words.set(restriction.name, { restriction, owner, arity: arityOf(restriction.args) });
    },
    get: (word) => words.get(word.toLowerCase()),
    names: () => [...Object.keys(languageWords), ...words.keys()],
    words: () => [
      ...Object.entries(languageWords).map(([name, description]) => ({
        name,
        description,
        stages,
        args: [],
        authorizes: [],
        plugin: "core",
      })),
      ...[...words.values()].map(listWord),
    ],
  };
}

function check(restriction: Restriction, owner: Owner): void {
  const { name } = restriction;
  const fail = (why: string) => new PluginError(owner.name, `word ${JSON.stringify(name)}: ${why}`);
  if (typeof name !== "string" || !wordForm.test(name)) throw fail("a name is lower case with underscores");
  if (isLanguageWord(name)) throw fail("belongs to the language");
  if (typeof restriction.compile !== "function") throw fail("compile() is missing");
  if (typeof restriction.args?.safeParse !== "function") throw fail("args is no schema");
  const { stages: own } = restriction;
  if (!Array.isArray(own) || own.length === 0 || own.some((stage) => !stages.includes(stage))) {
    throw fail(`stages are some of ${stages.join(", ")}`);
  }
}

function listWord({ restriction, owner }: RegisteredWord): WordListing {
  const { name, description, args } = restriction;
  return {
    name,
    description,
    stages: restriction.stages,
    args: z.toJSONSchema(args, { io: "input", unrepresentable: "any" }),
    authorizes: authorizingStages(restriction),
    plugin: owner.name,
  };
}

const guarded: readonly Stage[] = Object.freeze(["relay", "rcpt"]);

/** Where the word's permit satisfies the relay guard: some of `relay` and `rcpt`, whatever it declares. */
export function authorizingStages({ authorizes, stages: own }: Restriction): readonly Stage[] {
  if (authorizes === undefined || authorizes === false) return [];
  return guarded.filter((stage) => own.includes(stage) && (authorizes === true || authorizes.includes(stage)));
}

/** Read from the schema when it is a tuple, under whatever wraps it; else any number. */
function arityOf(schema: z.ZodType): Arity {
  const { def } = schema as unknown as { def: SchemaDef };
  if (def.type === "tuple" && def.items !== undefined) {
    const required = def.items.findLastIndex((item) => item._zod.optin !== "optional") + 1;
    return { least: required, most: def.rest === null || def.rest === undefined ? def.items.length : Infinity };
  }
  const inner = def.type === "pipe" ? def.in : def.innerType;
  return inner === undefined ? { least: 0, most: Infinity } : arityOf(inner);
}

interface SchemaDef {
  readonly type: string;
  readonly items?: readonly { readonly _zod: { readonly optin?: string } }[];
  readonly rest?: unknown;
  readonly in?: z.ZodType;
  readonly innerType?: z.ZodType;
}
