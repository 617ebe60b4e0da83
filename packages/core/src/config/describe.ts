/** The effective config for people: every setting with its value, whether it is a default, and no secret. */
import { resolve } from "node:path";
import type { z } from "zod";
import { formatPath } from "./problem.ts";
import { redact } from "./redact.ts";
import type { ResolvedConfig } from "./resolve.ts";
import { configSchema } from "./schema.ts";
import { defaultOf, defOf, unwrap } from "./schema-walk.ts";

export interface Setting {
  /** `listeners[0].port`. */
  readonly path: string;
  readonly value: unknown;
  /** Not written in the file. */
  readonly default: boolean;
}

/** In the order of the schema; settings that have no value are left out. */
export function describeConfig(written: Readonly<Record<string, unknown>>, config: ResolvedConfig): readonly Setting[] {
  const settings: Setting[] = [];
  const computed: Readonly<Record<string, unknown>> = {
    hostname: config.hostname,
    "state.directory": config.state.directory,
    "control.directory": config.control.directory,
  };
  walk(configSchema, written, []);
  return settings;

  function walk(schema: z.core.$ZodType, value: unknown, path: readonly PropertyKey[]): void {
    const bare = unwrap(schema);
    const { shape, element } = defOf(bare);
    const standard = defaultOf(schema);
    const given = value ?? standard;
    if (shape !== undefined && isObject(given)) {
      for (const [key, inner] of Object.entries(shape)) walk(inner, given[key], [...path, key]);
    } else if (element !== undefined && defOf(unwrap(element)).shape !== undefined && Array.isArray(given)) {
      for (const [index, inner] of given.entries()) walk(element, inner, [...path, index]);
    } else {
      const text = formatPath(path);
      const effective = given ?? computed[text];
      if (effective === undefined) return;
      const isPath = (bare as z.ZodType).meta()?.["kind"] === "path" && typeof effective === "string";
      const shown = isPath ? resolve(config.directory, effective) : redact(effective);
      settings.push({ path: text, value: shown, default: value === undefined });
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
