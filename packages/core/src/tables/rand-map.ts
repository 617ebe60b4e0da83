/** `randmap:{ value, … }`: one of the values, by chance, for every key; a value that stands there twice is twice as likely. */
import { ConfigError } from "../errors.ts";
import { readWords } from "./composed.ts";
import { refuseParameters } from "./table-object.ts";
import type { LookupTable, TableParameters, TableType } from "./table.ts";

export function createRandMap(random: () => number): TableType {
  return {
    type: "randmap",
    description: "One of some values by chance, whatever the key.",
    open(name, _scope, parameters): LookupTable {
      const values = name === "" ? readValues(parameters) : readName(name, parameters);
      const entries = values.map((value) => ({ key: "*", value }));
      return {
        type: "randmap",
        name: name === "" ? `{${values.join(",")}}` : name,
        kind: "pattern",
        trusted: true,
        lookup: () => values[Math.floor(random() * values.length)],
        entries: () => entries,
        close: () => Promise.resolve(),
      };
    },
  };
}

/** Braces inside keep a value with blanks together and stay part of it (dict_random). */
function readName(name: string, parameters: TableParameters): readonly string[] {
  refuseParameters(`randmap:${name}`, parameters);
  return readWords("randmap", name);
}

function readValues(parameters: TableParameters): readonly string[] {
  refuseParameters("randmap", parameters, ["values"]);
  const { values } = parameters;
  const sound = Array.isArray(values) && values.every((value) => typeof value === "string" && value !== "");
  if (!sound || values.length === 0) {
    throw new ConfigError(
      'table randmap: "values" is a list of values, as in { "type": "randmap", "values": ["a", "b"] }',
    );
  }
  return values as string[];
}
