// Where we are not as Postfix, and why: each stands in docs/standards.md under "Rewriting".
import type { Mail, World } from "./world.ts";

const differences = {
  /** A header that is not rewritten meets `generic` as it is; there Postfix tears a source route apart, we take it off. */
  sourceRouteOnTheWayOut: (mail: Mail, world: World): boolean =>
    !mail.own &&
    world.remoteHeaderDomain === undefined &&
    world.generic.length > 0 &&
    mail.fields.some((field) => field.includes("<@")),
  /** An address in a canonical table that is not asked for envelope recipients exists for Postfix's smtpd: who has moved is bounced later. */
  existsWithoutBeingRewritten: (_mail: Mail, world: World): boolean =>
    world.relocated.length > 0 &&
    ((world.canonical.length > 0 && !world.canonicalClasses.includes("envelope_recipient")) ||
      (world.recipientCanonical.length > 0 && !world.recipientCanonicalClasses.includes("envelope_recipient"))),
} as const;

/** The name of the difference that a mail would show; `undefined`: both are to do the same. */
export function differs(mail: Mail, world: World): string | undefined {
  return Object.entries(differences).find(([, shows]) => shows(mail, world))?.[0];
}
