/** reject_unknown_*client_hostname: clients whose address has no name, or a name that does not lead back. */
import { defer, stages, type Answer, type Restriction } from "@postern/core";
import { noArguments } from "./arguments.ts";
import type { WordContext } from "./context.ts";
import { findHostAddress } from "./hosts.ts";
import { notThere } from "./unknown-names.ts";

export const rejectUnknownClientHostname: Restriction<[]> = {
  name: "reject_unknown_client_hostname",
  stages,
  args: noArguments,
  description:
    "Rejects (450 4.7.25) clients whose address has no name in DNS, or a name that does not resolve back to the address.",
  compile:
    () =>
    ({ session: { client } }) =>
      client.nameStatus === "ok" ? undefined : refuse("cannot find your hostname", client.address, "4.7.25"),
};

export const rejectUnknownReverseClientHostname: Restriction<[]> = {
  name: "reject_unknown_reverse_client_hostname",
  stages,
  args: noArguments,
  description: "Rejects (450 4.7.1) clients whose address has no name in DNS, wherever that name leads.",
  compile:
    () =>
    ({ session: { client } }) =>
      client.reverseName === "unknown"
        ? refuse("cannot find your reverse hostname", client.address, "4.7.1")
        : undefined,
};

export const rejectUnknownForwardClientHostname = (context: WordContext): Restriction<[]> => ({
  name: "reject_unknown_forward_client_hostname",
  stages,
  args: noArguments,
  description:
    "Rejects (450 4.7.25) clients whose address has no name in DNS, or one that has no address at all, be it another's. A word of ours.",
  compile:
    () =>
    ({ session: { client } }) => {
      const { address, reverseName, nameStatus } = client;
      if (nameStatus === "ok") return undefined;
      const refusal = refuse("cannot find an address of your reverse hostname", address, "4.7.25");
      if (reverseName === "unknown") return refusal;
      return findHostAddress(reverseName, context).then((existence): Answer =>
        existence === "found" || existence === "nullMx" ? undefined : notThere(existence, refusal),
      );
    },
});

function refuse(why: string, address: string | undefined, enhanced: string): ReturnType<typeof defer> {
  return defer(`Client host rejected: ${why}, [${address ?? "unknown"}]`, enhanced, 450);
}
