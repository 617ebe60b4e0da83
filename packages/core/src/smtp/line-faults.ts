/** Lines that are no commands, and what is said to them. */
import { reply, type Reply } from "../model/index.ts";

/** Why a line is no command. */
export type LineFault = "tooLong" | "bareLf" | "bareCr" | "nul";

export const lineFaults: Readonly<Record<LineFault, Reply>> = {
  tooLong: reply(500, "5.5.2", "Command line too long"),
  bareLf: reply(500, "5.5.2", "Line ends in LF without CR"),
  bareCr: reply(500, "5.5.2", "CR without LF in command"),
  nul: reply(500, "5.5.2", "NUL in command"),
};
