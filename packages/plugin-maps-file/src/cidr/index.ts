/** Tables of networks: `cidr`. */
import type { Located, TableType } from "@postern/core";
import { openRules } from "../rules/rule-lines.ts";
import { CidrRules } from "./cidr-rules.ts";

const cidrType: TableType = {
  type: "cidr",
  description: "Rules of IPv4 and IPv6 networks, in a file that is followed or in the config.",
  async open(name, scope, parameters) {
    const source = await openRules("cidr", name, scope, parameters, (lines, warn) => new CidrRules(lines, warn));
    return Object.freeze({
      type: "cidr",
      name,
      kind: "pattern" as const,
      trusted: true,
      lookup: (key: string) => source.current.lookup(key),
      locate(key: string): Located | undefined {
        const found = source.current.answer(key);
        if (found === undefined) return undefined;
        const place = { line: found.line, key: found.pattern, value: found.value };
        return source.file === undefined ? place : { file: source.file, ...place };
      },
      close: () => source.close(),
    });
  },
};

export const types: readonly TableType[] = [cidrType];
