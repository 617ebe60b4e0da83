/**
 * Values with a unit: `"5m"`, `"25MB"`. The config and plugins' options write them as text, code gets numbers. A plain
 * number is refused, since nobody can tell whether 5 means seconds or minutes.
 */
import { z } from "zod";

const millisecondsOf: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Powers of 1,024, as mail software counts; without regard to case. */
const bytesOf: Readonly<Record<string, number>> = { b: 1, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30, tb: 2 ** 40 };

/** Milliseconds of `"90s"`, `"1h30m"`, `"0.5d"`; `undefined` for what is no duration. Units: ms, s, m, h, d, w. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|[smhdw]))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) {
    sum += Number(count) * (millisecondsOf[unit ?? ""] ?? 0);
  }
  return soundWhole(sum);
}

/** Bytes of `"512B"`, `"25MB"`, `"1.5GB"`; `undefined` for what is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([kmgt]?b)$/i.exec(text);
  if (match === null) return undefined;
  return soundWhole(Number(match[1]) * (bytesOf[(match[2] ?? "").toLowerCase()] ?? 0));
}

function soundWhole(value: number): number | undefined {
  const whole = Math.round(value);
  return Number.isSafeInteger(whole) ? whole : undefined;
}

export interface UnitRange {
  /** Smallest allowed, written with its unit. */
  readonly min?: string;
  /** Largest allowed, written with its unit. */
  readonly max?: string;
}

/** A schema from text with a unit to a number. `default` takes the text: `duration().default("5m")`. */
export interface UnitSchema extends z.ZodType<number, string> {
  default(value: string | number | (() => number)): z.ZodDefault<this>;
}

/** Milliseconds, written `"5m"`. */
export function duration(range: UnitRange = {}): UnitSchema {
  return unitSchema({
    type: "custom",
    kind: "duration",
    range,
    parse: parseDuration,
    example: '"90s", "5m" or "1h30m"',
  });
}

/** Bytes, written `"25MB"`. */
export function size(range: UnitRange = {}): UnitSchema {
  return unitSchema({ type: "custom", kind: "size", range, parse: parseSize, example: '"512KB", "25MB" or "1.5GB"' });
}

interface UnitDef extends z.core.$ZodTypeDef {
  readonly type: "custom";
  readonly kind: "duration" | "size";
  readonly range: UnitRange;
  readonly example: string;
  parse(text: string): number | undefined;
}

/** A type of its own, so that `default` and what it means survive `describe` and `meta`, which clone. */
const ZodUnit = z.core.$constructor<UnitSchema, UnitDef>("PosternUnit", (inst, def) => {
  z.core.$ZodType.init(inst, def);
  z.ZodType.init(inst as never, def);
  const parse: typeof inst._zod.parse = (payload) => {
    const found = payload.value;
    const value = typeof found === "string" ? def.parse(found.trim()) : undefined;
    const expected = expectation(def, value);
    if (expected === undefined) payload.value = value as number;
    else {
      const problem = { code: "custom", input: found, inst, params: { expected } } as const;
      payload.issues.push({ ...problem, message: `expected ${expected}` });
    }
    return payload as never;
  };
  inst._zod.parse = parse;
  const withDefault = (value: string | number) =>
    typeof value === "string" ? z.prefault(inst, value) : z._default(inst, value);
  inst.default = withDefault as UnitSchema["default"];
});

function unitSchema(def: UnitDef): UnitSchema {
  return new ZodUnit(def).meta({ kind: def.kind });
}

/** What was wanted instead of `value`; `undefined` when it is right. */
function expectation(def: UnitDef, value: number | undefined): string | undefined {
  const { kind, range, example } = def;
  if (value === undefined) return `a ${kind} such as ${example}`;
  if (range.min !== undefined && value < (def.parse(range.min) ?? 0)) return `a ${kind} of at least "${range.min}"`;
  if (range.max !== undefined && value > (def.parse(range.max) ?? 0)) return `a ${kind} of at most "${range.max}"`;
  return undefined;
}
