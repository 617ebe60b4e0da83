/** `npm run bench -- policy`: what the policy costs a relay, and how fast its services decide. */
import { measureFigures } from "../lib/figures.ts";
import { cases } from "./cases.ts";

export const main = (args: string[]): Promise<void> => measureFigures("policy", cases, args);
