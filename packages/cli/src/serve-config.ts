/** The config of `postern serve`: a file, or what the command line says, or both. It has no listeners and no queue. */
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { checkStateOwner, loadConfig, resolveConfig, type ResolvedConfig, type WordListing } from "@postern/core";
import { UsageError } from "./failure.ts";
import { inspect } from "./inspection.ts";
import { namingFile } from "./naming-file.ts";

export interface ServeSources {
  readonly config?: string;
  /** `name` or `name={…}`. */
  readonly plugin?: readonly string[];
  /** `stage=entry`. */
  readonly policy?: readonly string[];
  /** Folder of the state store. */
  readonly state?: string;
}

export interface Served {
  readonly config: ResolvedConfig;
  /** For messages: the config's, or "(command line)". */
  readonly file: string;
  /** Their instance names. */
  readonly plugins: readonly string[];
  /** Stage to words, as they are asked. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
  /** The folder; absent: in memory. */
  readonly state: string | undefined;
  /** What the operator may not expect. */
  readonly notes: readonly string[];
}

type Written = Readonly<Record<string, unknown>>;
type PluginEntry = string | readonly [name: string, options: Written];

const stages = ["connect", "helo", "mail", "relay", "rcpt", "data", "message"] as const;
type Stage = (typeof stages)[number];

export async function composeServe(sources: ServeSources, cwd: string): Promise<Served> {
  const { plugin = [], policy = [] } = sources;
  if (plugin.length === 0 && sources.config === undefined) {
    throw new UsageError("say what to serve: --plugin NAME, or --config FILE");
  }
  const given = plugin.map(readPlugin);
  const entries = policy.map(readPolicy);
  const file = sources.config === undefined ? join(cwd, "(command line)") : resolve(cwd, sources.config);
  const complete = (written: Written): Written => withOptions(written, { given, entries, state: sources.state, cwd });
  const read = async (): Promise<ResolvedConfig> => {
    if (sources.config === undefined) return resolveConfig(complete({}), { file });
    return (await loadConfig(file, { complete })).config;
  };
  const config = await namingFile(file, read);
  const placed = await namingFile(file, () => placeWords(config, given));
  checkStateOwner(placed.config);
  return { file, ...placed };
}

interface Additions {
  readonly given: readonly PluginEntry[];
  readonly entries: readonly (readonly [Stage, string])[];
  readonly state: string | undefined;
  readonly cwd: string;
}

/** Behind what the file has. Listeners and queue are not used, and only there because a config has them. */
function withOptions(written: Written, { given, entries, state, cwd }: Additions): Written {
  const plugins = (written["plugins"] ?? []) as readonly unknown[];
  const policy = { ...(written["policy"] as Record<string, unknown> | undefined) };
  for (const [stage, entry] of entries) {
    const before = policy[stage];
    const list = before === undefined ? [] : Array.isArray(before) ? (before as unknown[]) : [before];
    policy[stage] = [...list, entry];
  }
  return {
    ...(hostname().includes(".") ? {} : { hostname: "localhost.localdomain" }),
    queue: { directory: resolve(cwd, "queue") },
    ...written,
    listeners: [{ host: "127.0.0.1", port: 0 }],
    plugins: [...plugins, ...given],
    policy,
    ...(state !== undefined && { state: { directory: resolve(cwd, state) } }),
    ...(state === undefined && written["state"] === undefined && { state: { directory: resolve(cwd, "state") } }),
  };
}

function readPlugin(text: string): PluginEntry {
  const [, name = text, json] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (json === undefined) return name;
  try {
    const options: unknown = JSON.parse(json);
    if (typeof options === "object" && options !== null && !Array.isArray(options)) return [name, options as Written];
  } catch {
    // Told below.
  }
  throw new UsageError(`--plugin ${name}: behind the = stand its options, as JSON: '${name}={"key":"value"}'`);
}

function readPolicy(text: string): readonly [Stage, string] {
  const [, stage = "", entry = ""] = /^([a-z]+)=(.+)$/s.exec(text) ?? [];
  const known = stages.find((name) => name === stage);
  if (known === undefined)
    throw new UsageError(`--policy ${text}: expected STAGE=WORD, STAGE one of ${stages.join(", ")}`);
  return [known, entry];
}

/**
 * A plugin of the command line with one word that takes no arguments, and which no list has, means that word: it stands in the last stage
 * that it knows. Where there are several, nobody can say which are wanted.
 */
async function placeWords(config: ResolvedConfig, given: readonly PluginEntry[]): Promise<Omit<Served, "file">> {
  const { plugins, words, scanners } = await inspect(config);
  const notes: string[] = [];
  const named = namesIn(config.policy);
  const lists: Record<string, unknown[]> = {};
  // Behind them may stand what a top-level key has brought.
  const end = config.plugins.filter(({ key }) => key === undefined).length;
  for (const instance of plugins.slice(end - given.length, end)) {
    const own = words.filter(({ plugin }) => plugin === instance.name);
    if (own.length === 0 || own.some(({ name }) => named.has(name))) continue;
    const [only, another] = own;
    if (only !== undefined && another === undefined && takesNothing(only)) {
      const stage = stages.findLast((name) => only.stages.includes(name)) ?? "rcpt";
      (lists[stage] ??= []).push(only.name);
    } else if (!scanners.some(({ plugin }) => plugin === instance.name)) {
      const some = own.map(({ name }) => name).slice(0, 5);
      notes.push(
        `no list has a word of plugin ${instance.name} (${some.join(", ")}${own.length > 5 ? ", …" : ""}); --policy STAGE=WORD puts one in`,
      );
    }
  }
  const merged = { ...config.policy.lists } as Record<string, readonly unknown[]>;
  for (const [stage, added] of Object.entries(lists)) merged[stage] = [...(merged[stage] ?? []), ...added];
  const placed: ResolvedConfig = {
    ...config,
    policy: { ...config.policy, lists: merged },
  };
  return {
    config: placed,
    plugins: plugins.map(({ name }) => name),
    lists: Object.fromEntries(Object.entries(merged).map(([stage, all]) => [stage, all.map(wordText)])),
    state: config.state.store === "sqlite" ? config.state.directory : undefined,
    notes,
  };
}

function takesNothing({ args }: WordListing): boolean {
  const { type, prefixItems = [] } = args as { type?: string; prefixItems?: readonly unknown[] };
  return type === "array" && prefixItems.length === 0;
}

function wordText(entry: unknown): string {
  return typeof entry === "string" ? entry : JSON.stringify(entry);
}

/** All words of all lists and classes. */
function namesIn({ lists, classes }: ResolvedConfig["policy"]): ReadonlySet<string> {
  const entries = [...Object.values(lists), ...Object.values(classes)].flat();
  const texts = entries.flatMap((entry) => (typeof entry === "string" ? entry.split(/[\s,]+/) : [String(entry[0])]));
  return new Set(texts.map((text) => text.toLowerCase()));
}
