/** What greylisting knows mail by: client network, sender, recipient. */
import { createHash } from "node:crypto";

/** Without case: mailboxes that differ only in it are no two people. The null sender is a sender like any other. */
export function tripletKey(network: string, sender: string, recipient: string): string {
  const key = `${network} ${sender.toLowerCase()} ${recipient.toLowerCase()}`;
  return key.length <= 1_000 ? key : `${network} ${createHash("sha256").update(key).digest("hex")}`;
}
