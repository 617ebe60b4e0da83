/** Tables of patterns: `regexp` and `pcre`. */
import type { TableType } from "@postern/core";
import { createPatternType, pcreOptions, regexpOptions } from "./pattern-table.ts";

export const types: readonly TableType[] = [createPatternType(regexpOptions), createPatternType(pcreOptions)];
