/** Paths of MAIL and RCPT as this client may write them: ours may leave the domain out (Postfix's append_at_myorigin). */
import { parsePath, type AddressFault, type Path, type PathOptions } from "../address/index.ts";
import { isOwnClient } from "../model/index.ts";
import type { Dialogue } from "./dialogue.ts";

/** A stranger's address needs a domain, but for the postmaster's (RFC 5321 §4.1.2). */
export function readPath(
  dialogue: Pick<Dialogue, "session" | "generation">,
  text: string,
  options: PathOptions,
): Path | AddressFault {
  const path = parsePath(text, options);
  if (path.ok || path.reason !== "noDomain" || !isOwnClient(dialogue.session)) return path;
  return parsePath(`${text}@${dialogue.generation.settings.origin}`, options);
}
