/** The table types of a generation and its open tables: one spec is opened once, all are closed together. */
import { ConfigError, PluginError } from "../errors.ts";
import { didYouMean } from "../config/nearest.ts";
import { runAtSetup } from "../guard/at-setup.ts";
import { InvalidAnswer, type Guard } from "../guard/guard.ts";
import { coreOwner, type Owner } from "../guard/owner.ts";
import type { Clock } from "../model/clock.ts";
import { GuardedTable, type LookupObserver } from "./guarded-table.ts";
import { createDebugType } from "./debug-table.ts";
import { createEnviron } from "./environ.ts";
import { failType } from "./fail.ts";
import { createInline, openObject } from "./inline.ts";
import { pipeMapType } from "./pipe-map.ts";
import { createRandMap } from "./rand-map.ts";
import { staticType } from "./static.ts";
import { splitObject, type SplitObject, type TableCare } from "./table-object.ts";
import type { BuildScope, BuiltTable, LookupTable, TablePurpose, TableScope, TableSpec, TableType } from "./table.ts";
import type { TableWarning } from "./table-file.ts";
import { isTableObject, isTypeName, splitSpec, withoutProxy } from "./table-spec.ts";
import { texthashType } from "./texthash.ts";
import { unionMapType } from "./union-map.ts";

export interface TableRegistryOptions {
  /** Relative file names resolve from here: the config's folder, or for a command line the current one. */
  readonly directory: string;
  readonly clock: Clock;
  readonly guard: Guard;
  /** Mistakes in a table's file that Postfix lets pass with a warning. */
  readonly warn: TableWarning;
  /** What `debug:type:name` has to tell; to `warn` unless said. */
  readonly note?: (message: string) => void;
  /** In [0, 1), for `randmap`. */
  readonly random?: () => number;
  /** For `environ`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly observer?: LookupObserver;
  /** Explaining: what every asker gets in place of the table, with its label. */
  readonly wrap?: ((table: LookupTable, label: string) => LookupTable) | undefined;
  /** Asked once for a type that nobody registered: registers it when it can be had. Throws `ConfigError`. */
  readonly provide?: (type: string) => Promise<void>;
}

export interface TableTypeListing {
  readonly type: string;
  readonly description: string;
  readonly owner: string;
}

/** A table that is open, for `postern table check`. */
export interface OpenedTable {
  /** As in the config, `type:name`; its type for an object without a name. */
  readonly label: string;
  /** Who registered its type. */
  readonly owner: string;
  readonly table: LookupTable;
}

export interface TableRegistry {
  /** Throws `PluginError` when the type is taken or is no word. */
  register(type: TableType, owner: Owner): void;
  types(): readonly TableTypeListing[];
  /** `type:name`, or an object. A table is opened once for each purpose. Throws `ConfigError` for a mistake of the operator. */
  open(spec: TableSpec, purpose?: TablePurpose): Promise<LookupTable>;
  /** What is open now, in the order in which it was asked for; a table that is open for two purposes stands once. */
  opened(): Promise<readonly OpenedTable[]>;
  /** Makes the file of `type:name` anew. Throws `ConfigError`, also when the type has nothing to make, and errors of the system. */
  build(spec: string, scope: Omit<BuildScope, "directory">): Promise<BuiltTable>;
  /** Closes all that was opened; nothing can be opened after. */
  close(): Promise<void>;
}

/** Types of Postfix's that are not in core, by the package that brings them: for a message about one that is not installed. */
const packaged: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "@postern/plugin-maps-file": ["btree", "cdb", "cidr", "hash", "lmdb", "pcre", "regexp", "unix"],
    "@postern/plugin-maps-ldap": ["ldap"],
    "@postern/plugin-maps-mysql": ["mysql"],
    "@postern/plugin-maps-net": ["memcache", "redis", "socketmap", "tcp"],
    "@postern/plugin-maps-sql": ["pgsql", "sqlite"],
  }).flatMap(([owner, types]) => types.map((type) => [type, owner] as const)),
);

interface Registered {
  readonly type: TableType;
  readonly owner: Owner;
}

export function createTableRegistry(options: TableRegistryOptions): TableRegistry {
  const { clock, directory, guard, warn } = options;
  const types = new Map<string, Registered>();
  const tables = new Map<string, Promise<LookupTable>>();
  let closed = false;

  function register(type: TableType, owner: Owner): void {
    if (!isTypeName(type?.type) || typeof type.open !== "function") {
      throw new PluginError(owner.name, "a table type needs a lower-case name and open()");
    }
    const other = types.get(type.type);
    if (other !== undefined) {
      throw new PluginError(owner.name, `table type "${type.type}" is already registered by ${other.owner.name}`);
    }
    types.set(type.type, { type, owner });
  }

  function open(spec: TableSpec, purpose: TablePurpose = {}): Promise<LookupTable> {
    if (closed) return Promise.reject(new ConfigError("tables are closed"));
    const written = typeof spec === "string" ? spec.trim() : spec;
    const key = JSON.stringify([written, purpose.trustedOnly === true, purpose.withoutSubstitution === true]);
    let table = tables.get(key);
    if (table === undefined) {
      table = openSpec(written, purpose);
      tables.set(key, table);
      // Whoever asked hears of it; a mistake is not remembered.
      table.catch(() => tables.delete(key));
    }
    return table;
  }

  async function openSpec(spec: TableSpec, purpose: TablePurpose): Promise<LookupTable> {
    if (typeof spec === "string") {
      const parts = splitSpec(spec);
      if (parts === undefined)
        throw new ConfigError(`"${spec}" is no table: write type:name, as in texthash:./clients`);
      return openType({ ...parts, care: {}, parameters: {} }, spec, purpose);
    }
    if (typeof spec !== "object" || spec === null || Array.isArray(spec)) {
      throw new ConfigError("a table is type:name or an object of keys and values");
    }
    if (isTableObject(spec)) {
      const parts = splitObject(withoutProxy(spec));
      return openType(parts, parts.name === "" ? parts.type : `${parts.type}:${parts.name}`, purpose);
    }
    return guarded(openObject(spec, warn), coreOwner, {}, false);
  }

  /** Throws `ConfigError` for a type that cannot be had. */
  async function find(type: string, label: string): Promise<Registered> {
    if (!types.has(type)) await options.provide?.(type);
    const known = types.get(type);
    if (known === undefined) throw new ConfigError(unknownType(type, label));
    return known;
  }

  async function openType(
    { type, name, care, parameters }: SplitObject,
    label: string,
    purpose: TablePurpose,
  ): Promise<LookupTable> {
    const known = await find(type, label);
    const scope: TableScope = { directory, clock, purpose, warn, open: (inner) => open(inner, purpose) };
    const table = await runAtSetup(guard, known.owner, `table ${label}`, checkOpened, () =>
      known.type.open(name, scope, parameters),
    );
    if (purpose.trustedOnly === true && !table.trusted) {
      await table.close();
      throw new ConfigError(`table ${label}: a stranger could write its values; they may not be used here`);
    }
    return guarded(table, known.owner, care, known.type.composed === true);
  }

  async function opened(): Promise<readonly OpenedTable[]> {
    const found = new Map<string, OpenedTable>();
    for (const [key, opening] of tables) {
      const table = await opening.catch(() => undefined);
      if (table === undefined) continue;
      const { type, name } = table;
      const [spec] = JSON.parse(key) as [TableSpec];
      found.set(JSON.stringify(spec), {
        label: typeof spec === "string" || name !== "" ? `${type}:${name}` : type,
        owner: types.get(type)?.owner.name ?? coreOwner.name,
        table,
      });
    }
    return [...found.values()];
  }

  async function build(spec: string, scope: Omit<BuildScope, "directory">): Promise<BuiltTable> {
    const parts = splitSpec(spec.trim());
    if (parts === undefined) throw new ConfigError(`"${spec}" is no table: write type:name, as in cdb:./clients`);
    const { type, name } = parts;
    const found = await find(type, spec);
    if (found.type.build === undefined) throw new ConfigError(`table ${spec}: there is nothing to build for this type`);
    if (name === "") throw new ConfigError(`table "${type}:" needs a file name`);
    return found.type.build(name, { directory, ...scope });
  }

  function guarded(table: LookupTable, owner: Owner, care: TableCare, composed: boolean): LookupTable {
    const { deadlineMs = owner.deadlineMs } = care;
    const timed = deadlineMs === owner.deadlineMs ? owner : { ...owner, deadlineMs };
    const { observer, wrap } = options;
    const whole = new GuardedTable(table, { owner: timed, guard, clock, warn, observer, care, composed });
    return wrap === undefined ? whole : wrap(whole, table.name === "" ? table.type : `${table.type}:${table.name}`);
  }

  function unknownType(type: string, spec: string): string {
    const sentence = `unknown table type "${type}" in "${spec}"`;
    const owner = packaged.get(type);
    if (owner !== undefined) return `${sentence}; install it with npm install ${owner}`;
    return sentence + didYouMean(type, [...types.keys(), ...packaged.keys()]);
  }

  async function close(): Promise<void> {
    closed = true;
    const all = await Promise.allSettled(tables.values());
    tables.clear();
    const closing = all.map(async (table) => {
      if (table.status !== "fulfilled") return;
      const { type, name } = table.value;
      const owner = types.get(type)?.owner ?? coreOwner;
      await guard.run(
        owner,
        `close of table ${type}:${name}`,
        () => undefined,
        () => table.value.close(),
      );
    });
    await Promise.all(closing);
  }

  for (const type of coreTypes(options)) register(type, coreOwner);
  return {
    register,
    types: () =>
      [...types.values()].map(({ type, owner }) => ({
        type: type.type,
        description: type.description,
        owner: owner.name,
      })),
    open,
    opened,
    build,
    close,
  };
}

/** Postfix's names and our shorter ones. */
function coreTypes({
  warn,
  note = warn,
  random = Math.random,
  environment = process.env,
}: TableRegistryOptions): TableType[] {
  const randMapType = createRandMap(random);
  return [
    staticType,
    createInline(warn),
    texthashType,
    unionMapType,
    pipeMapType,
    randMapType,
    createDebugType(note),
    createEnviron(environment),
    failType,
    { ...unionMapType, type: "union" },
    { ...pipeMapType, type: "pipe" },
    { ...randMapType, type: "rand" },
  ];
}

function checkOpened(answer: unknown): LookupTable {
  const table = answer as Partial<LookupTable> | null | undefined;
  if (typeof table?.lookup !== "function" || typeof table.close !== "function") {
    throw new InvalidAnswer("open() gives no table: lookup() or close() is missing");
  }
  if (table.kind !== "indexed" && table.kind !== "pattern") {
    throw new InvalidAnswer('a table\'s kind is "indexed" or "pattern"');
  }
  return answer as LookupTable;
}
