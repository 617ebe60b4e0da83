/** `debug:type:name`: answers as the table inside and writes each lookup into the log. */
import { logText } from "../model/log-text.ts";
import { isPromise } from "../model/maybe-promise.ts";
import { ConfigError } from "../errors.ts";
import { refuseParameters } from "./table-object.ts";
import type { LookupTable, TableSpec, TableType } from "./table.ts";

export function createDebugType(note: (message: string) => void): TableType {
  return {
    type: "debug",
    description: "Writes each lookup of the table inside, debug:type:name, into the log.",
    composed: true,
    async open(name, scope, parameters): Promise<LookupTable> {
      refuseParameters(`debug:${name}`, parameters, name === "" ? ["table"] : []);
      const spec = name === "" ? parameters["table"] : name;
      if (spec === undefined) throw new ConfigError("table debug: write debug:type:name");
      const inner = await scope.open(spec as TableSpec);
      const label = `${inner.type}:${inner.name}`;
      const tell = (key: string, answer: string) => note(`${label} lookup: "${logText(key)}" = ${answer}`);
      const told = (key: string, value: string | undefined) => {
        tell(key, value === undefined ? "not found" : `"${logText(value)}"`);
        return value;
      };
      const failed = (key: string, error: unknown): never => {
        tell(key, `error: ${logText(error instanceof Error ? error.message : error)}`);
        throw error;
      };
      return {
        ...pick(inner),
        lookup(key, ask) {
          try {
            const answer = inner.lookup(key, ask);
            if (!isPromise(answer)) return told(key, answer);
            return answer.then(
              (late) => told(key, late),
              (error: unknown) => failed(key, error),
            );
          } catch (error) {
            return failed(key, error);
          }
        },
        close: () => Promise.resolve(),
      };
    },
  };
}

/** What is the same with or without the log. */
function pick(inner: LookupTable): Omit<LookupTable, "lookup" | "close"> {
  return {
    type: "debug",
    name: `${inner.type}:${inner.name}`,
    kind: inner.kind,
    trusted: inner.trusted,
    ...(inner.entries !== undefined && { entries: () => inner.entries?.() ?? [] }),
    ...(inner.locate !== undefined && { locate: (key: string) => inner.locate?.(key) }),
  };
}
