/** `npm run bench -- tables`: lookup tables as their callers get them, through the registry, beside `postmap -q -` on the same data and keys. */
import { measureFigures } from "../lib/figures.ts";
import { cases } from "./cases.ts";

export const main = (args: string[]): Promise<void> => measureFigures("tables", cases, args);
