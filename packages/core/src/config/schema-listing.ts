/** The options of a schema as a flat list, for reference pages and READMEs. */
import type { z } from "zod";
import { defaultOf, defOf, isOptional, unwrap } from "./schema-walk.ts";

export interface SchemaOption {
  /** `queue.directory`, `listeners[].port`, `services.NAME.address`. */
  readonly path: string;
  /** "duration", "text", `"reject" | "normalize"`. */
  readonly type: string;
  /** As it would be written; `undefined` when there is none. */
  readonly default: unknown;
  readonly required: boolean;
  readonly description: string;
}

/** In the order of the schema, objects before what is in them. Works with schemas of another copy of zod. */
export function listSchemaOptions(schema: z.core.$ZodType, prefix = ""): readonly SchemaOption[] {
  const { shape } = defOf(unwrap(schema));
  return Object.entries(shape ?? {}).flatMap(([key, option]) =>
    listOption(option, prefix === "" ? key : `${prefix}.${key}`),
  );
}

function listOption(option: z.core.$ZodType, path: string): readonly SchemaOption[] {
  const { shape, element, valueType } = defOf(unwrap(option));
  // What is in it has a place of its own: in the object, in each of a list, under each name.
  const several = element ?? valueType;
  const inside = several !== undefined && defOf(unwrap(several)).shape !== undefined ? several : undefined;
  const inner = shape === undefined ? inside : option;
  const standard = inner !== undefined && shape !== undefined ? undefined : defaultOf(option);
  const own: SchemaOption = {
    path,
    type: typeOf(option),
    default: standard,
    required: !isOptional(option),
    description: metaOf(option)?.description ?? "",
  };
  if (inner === undefined) return [own];
  const below = inside === undefined ? path : element === undefined ? `${path}.NAME` : `${path}[]`;
  return [own, ...listSchemaOptions(inner, below)];
}

function metaOf(schema: z.core.$ZodType): { description?: string; kind?: string } | undefined {
  const own = (schema as z.ZodType).meta?.() as { description?: string; kind?: string } | undefined;
  const def = defOf(schema);
  const below = def.innerType ?? def.in;
  return below === undefined ? own : { ...metaOf(below), ...own };
}

const plain: Readonly<Record<string, string>> = {
  string: "text",
  boolean: "true or false",
  number: "number",
  record: "object",
};

function typeOf(schema: z.core.$ZodType): string {
  const kind = metaOf(schema)?.kind;
  if (kind !== undefined) return kind;
  const def = defOf(unwrap(schema));
  if (def.type === "number" && "check" in def) return "whole number";
  if (def.element !== undefined) return `list of ${typeOf(def.element)}`;
  if (def.shape !== undefined) return "object";
  if (def.options !== undefined) return [...new Set(def.options.map(typeOf))].join(" or ");
  if (def.type === "enum")
    return Object.values(def.entries ?? {})
      .map((value) => JSON.stringify(value))
      .join(" or ");
  if (def.type === "literal") return (def.values ?? []).map((value) => JSON.stringify(value)).join(" or ");
  if (def.type === "tuple") return "list";
  return plain[def.type] ?? "text";
}
