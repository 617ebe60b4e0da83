/** Tables and match lists as a config writes them: what each item is shows here, its files and tables are opened elsewhere. */
import { z } from "zod";
import { canonicalDomain } from "../address/domain.ts";
import type { TableSpec } from "../model/table-spec.ts";
import { cidr } from "./network.ts";

/** A literal, a file or a table; before the words `!` for "not". */
export type MatchItem = TableSpec;
export type MatchItems = MatchItem | readonly MatchItem[];

const tableType = /^[a-z][a-z0-9_-]{0,39}$/;
const tableName = /^[a-z][a-z0-9_-]*:/;
/** `/etc/postern/domains`, `./domains`: its words stand in its place. */
const fileName = /^\.{0,2}\//;
/** `fe80::1/64` is a network, if a wrong one, and no table. */
const looksIpv6 = /^[0-9a-f]{1,4}:[0-9a-f:]*(?:\/\d+)?$/i;

/** A table: `type:name`, an object with a `type` and its parameters, or an object of keys and values. */
export function tableSpec(): z.ZodType<TableSpec, TableSpec> {
  return z
    .custom<TableSpec>(
      (value) => (typeof value === "string" ? /^[a-z][a-z0-9_-]*:/i.test(value) : isTableObject(value)),
      {
        error: 'expected a table such as "texthash:./file", or an object of key and value',
      },
    )
    .meta({ kind: "table" });
}

/** With a `type` it may have parameters of any kind; without one it is keys and values. */
function isTableObject(value: unknown): value is Exclude<TableSpec, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  if (hasType(value)) return true;
  return Object.values(value).every((each) => typeof each === "string");
}

function hasType(value: object): boolean {
  const { type } = value as { type?: unknown };
  return typeof type === "string" && tableType.test(type);
}

interface ItemForm {
  /** For the reference: "domain". */
  readonly kind: string;
  readonly literal: z.ZodType<string, string>;
  /** An object of keys and values is a table here. */
  readonly inline: boolean;
}

function item({ kind, literal, inline }: ItemForm): z.ZodType<MatchItem, MatchItem> {
  const schema = z.unknown().transform((value, context) => {
    if (typeof value === "object" && value !== null && isTableObject(value) && (inline || hasType(value))) return value;
    const text = typeof value === "string" ? value.trim() : "";
    const bare = text.replace(/^[!\s]+/, "");
    const parsed = literal.safeParse(bare);
    const sign = text.slice(0, text.length - bare.length).replaceAll(/\s/g, "");
    if (parsed.success) return sign + parsed.data;
    if (fileName.test(bare) || (tableName.test(bare) && !looksIpv6.test(bare))) return sign + bare;
    const message = parsed.error.issues[0]?.message ?? `expected ${kind}`;
    context.issues.push({ code: "custom", input: value, message });
    return z.NEVER;
  });
  return schema.meta({ kind: `${kind}, table or file` }) as unknown as z.ZodType<MatchItem, MatchItem>;
}

const domainLiteral = z
  .custom<string>((value) => typeof value === "string" && canonicalDomain(value) !== undefined, {
    error: 'expected a domain such as "example.com"',
  })
  .transform((value) => canonicalDomain(value) ?? value);
const addressLiteral = z.string().refine((value) => value !== "" && !/[\s,]/.test(value.replace(/"[^"]*"/g, "")), {
  error: 'expected an address such as "user@example.com"',
});

const domainItem = item({ kind: "domain", literal: domainLiteral, inline: true });
/** In place of a whole class an object of other keys is rather a mistake. */
const loneDomainItem = item({ kind: "domain", literal: domainLiteral, inline: false });
const networkItem = item({ kind: "network", literal: cidr(), inline: true });
const clientLiteral = z.union([cidr(), domainLiteral], { error: "expected an address, a network or a host name" });
const clientItem = item({ kind: "client", literal: clientLiteral, inline: true });
const addressItem = item({ kind: "address", literal: addressLiteral, inline: true });

function oneOrMore(one: z.ZodType<MatchItem, MatchItem>, expected: string): z.ZodType<MatchItems, MatchItems> {
  return z.union([z.array(one), one], { error: `expected ${expected}` });
}

/** Options of plugins: clients by address, network or name, read by `gateway.lists.clients`. */
export const clientList = (): z.ZodType<MatchItems, MatchItems> =>
  oneOrMore(clientItem, "a list of clients (addresses, networks, names), or a table");

/** Options of plugins: mail addresses, read by `gateway.lists.addresses`. */
export const addressList = (): z.ZodType<MatchItems, MatchItems> =>
  oneOrMore(addressItem, 'a list of addresses ("user@example.com", "@example.com"), or a table');

export const networkList = oneOrMore(networkItem, "a list of networks, or a table");

const classExpected = "a list of domains, a table, or an object with domains and recipients";

/** A class of domains: a list or a table, or both parts. */
export const domainClass = z.union(
  [
    z.array(domainItem),
    z.strictObject({
      domains: oneOrMore(domainItem, "a list of domains, or a table").describe("The domains: a list or a table."),
      recipients: oneOrMore(addressItem, 'a list of addresses or a table such as "texthash:./recipients"')
        .optional()
        .describe("Who exists there: a list of addresses or a table. Without it everybody does."),
    }),
    loneDomainItem,
  ],
  { error: `expected ${classExpected}` },
);
