/** Looks into a zod schema: what is inside its wrappers, which keys stand at a path. For messages and reference pages. */
import type { z } from "zod";

type Schema = z.core.$ZodType;
/** The parts of definitions that are looked at; a schema of another copy of zod has them too. */
interface Def {
  readonly type: string;
  readonly innerType?: Schema;
  readonly in?: Schema;
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly element?: Schema;
  readonly items?: readonly Schema[];
  readonly options?: readonly Schema[];
  readonly valueType?: Schema;
  readonly defaultValue?: unknown;
  readonly entries?: Readonly<Record<string, unknown>>;
  readonly values?: readonly unknown[];
}

export function defOf(schema: Schema): Def {
  return schema._zod.def;
}

const wrappers = new Set(["optional", "nullable", "default", "prefault", "readonly", "nonoptional", "catch"]);

/** Without optional, default and the like; of a pipe the side that the author writes. */
export function unwrap(schema: Schema): Schema {
  const def = defOf(schema);
  const inner = wrappers.has(def.type) ? def.innerType : def.type === "pipe" ? def.in : undefined;
  return inner === undefined ? schema : unwrap(inner);
}

/** The default as the author would write it; `undefined` when there is none. */
export function defaultOf(schema: Schema): unknown {
  const def = defOf(schema);
  if (def.type === "default" || def.type === "prefault") return def.defaultValue;
  return wrappers.has(def.type) && def.innerType !== undefined ? defaultOf(def.innerType) : undefined;
}

export function isOptional(schema: Schema): boolean {
  return schema._zod.optin !== undefined || defaultOf(schema) !== undefined;
}

/** The keys of the object at `path`; of several possible objects, all their keys. */
export function shapeAt(schema: Schema, path: readonly PropertyKey[]): Record<string, Schema> | undefined {
  const shapes = schemasAt([schema], path)
    .map((found) => defOf(found).shape)
    .filter((shape) => shape !== undefined);
  return shapes.length === 0 ? undefined : Object.assign({}, ...shapes);
}

function schemasAt(schemas: readonly Schema[], path: readonly PropertyKey[]): readonly Schema[] {
  const open = schemas.flatMap(branches);
  const [step, ...rest] = path;
  if (step === undefined) return open;
  return schemasAt(
    open.flatMap((schema) => stepInto(schema, step)),
    rest,
  );
}

function branches(schema: Schema): readonly Schema[] {
  const bare = unwrap(schema);
  const { options } = defOf(bare);
  return options === undefined ? [bare] : options.flatMap(branches);
}

function stepInto(schema: Schema, step: PropertyKey): readonly Schema[] {
  const { shape, element, items, valueType } = defOf(schema);
  const next =
    typeof step === "number" ? (items?.[step] ?? element) : shape === undefined ? valueType : shape[String(step)];
  return next === undefined ? [] : [next];
}
