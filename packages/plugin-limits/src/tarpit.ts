/** Replies to clients that make errors come later and later (Postfix's smtpd_error_sleep_time, with a slope). */
import { after, type MaybePromise, type Session } from "@postern/core";
import type { Exemptions } from "./exemptions.ts";
import type { Options } from "./options.ts";

export function createTarpit(
  { after: free, delay, longest }: NonNullable<Options["tarpit"]>,
  exempt: Pick<Exemptions, "client">,
): (errors: number, session: Session) => MaybePromise<number | undefined> {
  return (errors, session) => {
    if (errors <= free) return undefined;
    return after(exempt.client(session), (is) => (is ? undefined : Math.min(longest, delay * (errors - free))));
  };
}
