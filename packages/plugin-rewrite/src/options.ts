/** Options of the rewriting plugin: the value of the top-level key `rewrite`. */
import { canonicalAddress, canonicalDomain, domain, tableSpec, type AddressPlace, type TableSpec } from "@postern/core";
import { z } from "zod";

const tables = () =>
  z
    .union([z.array(tableSpec()), tableSpec()], {
      error: 'expected a table such as "texthash:./file", or a list of tables',
    })
    .transform((given): readonly TableSpec[] => (Array.isArray(given) ? given : [given]))
    .prefault([]);

const places = ["envelope_sender", "envelope_recipient", "header_sender", "header_recipient"] as const;

const classes = <P extends AddressPlace>(all: readonly [P, ...P[]], standard: readonly P[] = all) =>
  z.array(z.enum(all)).default([...standard]);

const address = z.string().refine((text) => canonicalAddress(text) !== undefined, {
  error: 'expected an address such as "archive@example.com"',
});

const masqueraded = z.string().refine((text) => canonicalDomain(text.replace(/^!+/, "")) !== undefined, {
  error: 'expected a domain, or "!" and a domain',
});

export const options = z.strictObject({
  canonical: tables().describe("Tables of addresses and the one address that each is to become, wherever it stands."),
  canonicalClasses: classes(places).describe("Where `canonical` is asked."),
  senderCanonical: tables().describe("The same for senders, asked before `canonical`."),
  senderCanonicalClasses: classes(["envelope_sender", "header_sender"]).describe("Where `senderCanonical` is asked."),
  recipientCanonical: tables().describe("The same for recipients, asked before `canonical`."),
  recipientCanonicalClasses: classes(["envelope_recipient", "header_recipient"]).describe(
    "Where `recipientCanonical` is asked.",
  ),
  masquerade: z
    .array(masqueraded)
    .default([])
    .describe("Domains whose subdomains are stripped; `!host` is left as it is. The first that fits counts."),
  masqueradeExceptions: z.array(z.string()).default([]).describe("Users whose addresses are never masqueraded."),
  masqueradeClasses: classes(places, ["envelope_sender", "header_sender", "header_recipient"]).describe(
    "Where addresses are masqueraded.",
  ),
  virtual: tables().describe(
    "Tables of aliases for any domain: an address, `@domain` or a local user, and the addresses in its place.",
  ),
  generic: tables().describe("Tables of addresses and those that the world is to see, for mail that leaves by SMTP."),
  relocated: tables().describe("Tables of addresses whose owners have moved, and where to: their mail is refused."),
  alwaysBcc: address.optional().describe("Gets a copy of every message."),
  senderBcc: tables().describe("Tables of senders and the address that gets a copy of their mail."),
  recipientBcc: tables().describe("Tables of recipients and the address that gets a copy of their mail."),
  propagateExtensions: z
    .array(z.enum(["canonical", "virtual", "generic"]))
    .default(["canonical", "virtual"])
    .describe("Tables from whose keys an extension that they do not know goes to the addresses that they name."),
  appendOrigin: z.boolean().default(true).describe("Addresses in the header without a domain get the `origin`."),
  appendDomain: domain()
    .optional()
    .describe("What an address with a host name alone gets: `user@host` becomes `user@host.domain`."),
  swapBangpath: z.boolean().default(false).describe("`site!user` in the header is `user@site`."),
  percentHack: z.boolean().default(false).describe("`user%site` in the header is `user@site`."),
  headerClients: z
    .enum(["own", "all", "none"])
    .default("own")
    .describe(
      "Whose mail has its header rewritten: that of `networks` and of users who are logged in, everybody's, nobody's.",
    ),
  remoteHeaderDomain: domain()
    .optional()
    .describe(
      "The header of all other mail is rewritten too, and its addresses without a domain get this one, as does a host name alone when there is an `appendDomain`.",
    ),
});

export type RewriteOptions = z.output<typeof options>;
