/** Whose settings and Bayes data a scan uses. */
import type { Recipient } from "@postern/core";
import type { Options } from "./options.ts";

/** A scan, and the recipients it is for by their place in the envelope. */
export interface UserScan {
  readonly user: string | undefined;
  readonly recipients: readonly number[];
}

/** One scan for each user, or one for all. */
export function scansFor(
  recipients: readonly Recipient[],
  { user, perRecipient, defaultUser, maxUsers }: Pick<Options, "user" | "perRecipient" | "defaultUser" | "maxUsers">,
): readonly UserScan[] {
  const everybody = recipients.map((_, at) => at);
  if (user === undefined) return [{ user: defaultUser, recipients: everybody }];
  const byUser = new Map<string, number[]>();
  recipients.forEach(({ address }, at) => {
    const name = userOf(user, address);
    const same = byUser.get(name);
    if (same === undefined) byUser.set(name, [at]);
    else same.push(at);
  });
  const one = byUser.size === 1;
  if (!one && (!perRecipient || byUser.size === 0 || byUser.size > maxUsers)) {
    return [{ user: defaultUser, recipients: everybody }];
  }
  return [...byUser].map(([name, at]) => ({ user: name, recipients: at }));
}

function userOf(template: string, address: string): string {
  const at = address.lastIndexOf("@");
  const [local, domain] = at < 0 ? [address, ""] : [address.slice(0, at), address.slice(at + 1)];
  return template.replace(/%([sud])/g, (_, key: string) => (key === "s" ? address : key === "u" ? local : domain));
}
