/** How a table is written: `type:name`, `proxy:type:name`, or an object with a `type`. */
import { ConfigError } from "../errors.ts";
import type { TableObject, TableSpec } from "./table.ts";

const typeForm = /^[a-z][a-z0-9_-]{0,39}$/;

export function isTypeName(text: unknown): text is string {
  return typeof text === "string" && typeForm.test(text);
}

/** Whether a word of the config means a table: `texthash:./clients`. */
export function isTableName(text: string): boolean {
  return splitSpec(text) !== undefined;
}

/** An object with a `type` is a table with parameters; a key "type" of an inline object cannot be mistaken unless its value is such a word. */
export function isTableObject(spec: Exclude<TableSpec, string>): spec is TableObject {
  return isTypeName(spec.type);
}

/** In Postfix tables behind `proxy:` are opened once for all processes; here that is so for all. */
const proxyPrefix = /^(?:proxy:)+/;

/** `undefined` for what is no table. */
export function splitSpec(written: string): { type: string; name: string } | undefined {
  const spec = written.replace(proxyPrefix, "");
  const colon = spec.indexOf(":");
  const type = spec.slice(0, Math.max(colon, 0));
  return isTypeName(type) ? { type, name: spec.slice(colon + 1).trim() } : undefined;
}

/** `{ "type": "proxy", "name": "type:name" }` is the object of what stands behind it. Throws `ConfigError`. */
export function withoutProxy(object: TableObject): TableObject {
  if (object.type !== "proxy") return object;
  const inner = splitSpec(object.name ?? "");
  if (inner === undefined) throw new ConfigError('table proxy: "name" is a table, type:name');
  return { ...object, ...inner };
}
