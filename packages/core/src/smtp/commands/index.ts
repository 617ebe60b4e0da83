/** Every command of the transition table, one file each, and what is said to the others. */
import type { MaybePromise, Reply } from "../../model/index.ts";
import type { Dialogue } from "../dialogue.ts";
import type { Verb } from "../transitions.ts";
import { auth } from "./auth.ts";
import { bdat } from "./bdat.ts";
import { data } from "./data.ts";
import { ehlo, helo } from "./helo.ts";
import { mail } from "./mail.ts";
import { rcpt } from "./rcpt.ts";
import { noop, quit, rset, vrfy } from "./simple.ts";
import { starttls } from "./starttls.ts";
import { xclient } from "./xclient.ts";

export { unknown } from "./unknown.ts";

/** `argument` is what follows the verb, trimmed. `misplaced` is for BDAT alone: why it may not stand here. */
export type Command = (dialogue: Dialogue, argument: string, misplaced: Reply | undefined) => MaybePromise<void>;

export const commands: Readonly<Record<Verb, Command>> = {
  HELO: helo,
  EHLO: ehlo,
  AUTH: auth,
  MAIL: mail,
  RCPT: rcpt,
  DATA: data,
  BDAT: bdat,
  RSET: rset,
  NOOP: noop,
  QUIT: quit,
  VRFY: vrfy,
  STARTTLS: starttls,
  XCLIENT: xclient,
};
