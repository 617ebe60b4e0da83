/** The command line as a function, for those who test it without a process. */
export { exitCodes } from "./exit-codes.ts";
export { runCommand, type Surroundings } from "./program.ts";
