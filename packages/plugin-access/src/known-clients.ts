/** Words that know who the client is. Networks and logins may let it relay; being this very host does not. */
import { networkInterfaces } from "node:os";
import { formatIp, parseIp, permit, stages, TableUnavailable, type Restriction } from "@postern/core";
import { noArguments } from "./arguments.ts";

export const permitMynetworks: Restriction<[]> = {
  name: "permit_mynetworks",
  stages,
  args: noArguments,
  description: "Permits clients whose address is in `networks`. They may relay.",
  authorizes: true,
  compile:
    () =>
    ({ session: { client } }) => {
      if (client.networksUnavailable === true) throw new TableUnavailable("networks", "it could not be asked");
      return client.inNetworks ? permit : undefined;
    },
};

export const permitSaslAuthenticated: Restriction<[]> = {
  name: "permit_sasl_authenticated",
  stages,
  args: noArguments,
  description: "Permits clients that have logged in. They may relay.",
  authorizes: true,
  compile: () => (ask) => (ask.session.auth === undefined ? undefined : permit),
};

export const permitInetInterfaces: Restriction<[]> = {
  name: "permit_inet_interfaces",
  stages,
  args: noArguments,
  description:
    "Permits clients whose address is one of this host's own, as they were when the config was loaded. Does not let them relay.",
  compile: () => {
    const own = ownAddresses();
    return ({ session: { client } }) => (client.address !== undefined && own.has(client.address) ? permit : undefined);
  },
};

function ownAddresses(): ReadonlySet<string> {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return new Set(all.map(({ address }) => canonical(address)));
}

function canonical(address: string): string {
  const ip = parseIp(address);
  return ip === undefined ? address : formatIp(ip);
}
