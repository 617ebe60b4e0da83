/** `npm run bench -- scan`: a relay with clamd, beside packaged Postfix with clamav-milter on the same clamd. */
import { measureFigures } from "../lib/figures.ts";
import { cases } from "./cases.ts";

export const main = (args: string[]): Promise<void> => measureFigures("scan", cases, args);
