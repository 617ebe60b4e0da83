/** Lookup tables in LDAP directories: `ldap:./aliases.cf`, or the same parameters in the config. */
import { definePlugin } from "@postern/core";
import { z } from "zod";
import { createLdapType } from "./ldap-table.ts";

export default definePlugin({
  name: "maps-ldap",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    gateway.tables.register("ldap", createLdapType(), "Entries of an LDAP directory, as ldap_table(5) of Postfix.");
  },
});
