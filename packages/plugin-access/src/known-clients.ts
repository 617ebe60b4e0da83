/** Words that know who the client is, and so may let it relay. */
import { permit, stages, TableUnavailable, type Restriction } from "@postern/core";
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
  description:
    "Permits clients that have authenticated, of which there are none while no authenticator is loaded. They may relay.",
  authorizes: true,
  compile: () => (ask) => (ask.session.auth === undefined ? undefined : permit),
};
