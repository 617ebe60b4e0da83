/**
 * The catalogue of search orders: for every kind of table that Postfix asks, the keys it tries. An order has turns, each a search of its
 * own with a whole first key: a client's name, then its address.
 */
import { accessAddressKeys, addressKeys, aliasKeys, nullSenderKey, transportKeys } from "./address-orders.ts";
import { domainKeys, networkKeys, tlsPolicyKeys, type ParentStyle } from "./domain-orders.ts";

export * from "./address-orders.ts";
export * from "./domain-orders.ts";

/** Keys of one search: the first goes to all tables, the others to indexed tables only. */
export type SearchTurn = readonly string[];

export interface SearchOptions {
  /** A set of characters; empty for none. */
  readonly recipientDelimiter?: string;
  /** Is the domain our origin or of the class `local`? None is unless said otherwise. */
  readonly isLocal?: (domain: string) => boolean;
  /** Against the table's custom: `parent` for access tables, `dotted` for transport tables. */
  readonly parents?: ParentStyle;
  /** client: the name that belongs to the address. */
  readonly clientName?: string;
  /** sasl-password: the sender, when passwords depend on it, and the host that the next-hop led to. */
  readonly sender?: string;
  readonly host?: string;
}

export interface SearchOrder {
  /** What is looked up, for `postern table query`. */
  readonly key: string;
  /** The tables that are asked so. */
  readonly tables: string;
  turns(key: string, options?: SearchOptions): readonly SearchTurn[];
}

const domainOf = (address: string): string => address.slice(address.lastIndexOf("@") + 1);

function generic(key: string, { recipientDelimiter = "", isLocal = () => false }: SearchOptions = {}): SearchTurn[] {
  return [addressKeys(key, { recipientDelimiter, isLocal: key.includes("@") && isLocal(domainOf(key)) })];
}

const byAddress = (tables: string): SearchOrder => Object.freeze({ key: "mail address", tables, turns: generic });

/** The null sender is a key of its own. */
const sender = (key: string, options: SearchOptions = {}): readonly SearchTurn[] =>
  key === "" || key === nullSenderKey ? [[nullSenderKey]] : generic(key, options);

const orders = {
  access: {
    key: "mail address, or <>",
    tables: "check_sender_access, check_recipient_access",
    turns: (key, { recipientDelimiter = "", parents = "parent" } = {}) => [
      accessAddressKeys(key === nullSenderKey ? "" : key, recipientDelimiter, parents),
    ],
  },
  client: {
    key: "client address",
    tables: "check_client_access",
    turns: (key, { clientName, parents = "parent" } = {}) => [
      ...(clientName === undefined ? [] : [domainKeys(clientName, parents)]),
      networkKeys(key),
    ],
  },
  helo: {
    key: "host name",
    tables: "check_helo_access",
    turns: (key, { parents = "parent" } = {}) => [domainKeys(key, parents)],
  },
  canonical: byAddress("canonical, sender_canonical and recipient_canonical"),
  virtual: byAddress("virtual aliases"),
  relocated: byAddress("relocated users"),
  generic: byAddress("generic addresses of outbound mail"),
  bcc: byAddress("sender_bcc and recipient_bcc"),
  "sender-login": byAddress("owners of sender addresses"),
  recipients: byAddress("recipients of local and relay domains"),
  mailbox: {
    key: "mail address",
    tables: "recipients of virtualMailbox domains",
    turns: (key, { recipientDelimiter = "" } = {}) => [addressKeys(key, { recipientDelimiter, isLocal: false })],
  },
  transport: {
    key: "mail address",
    tables: "routes",
    turns: (key, { recipientDelimiter = "", parents = "dotted" } = {}) => [
      transportKeys(key, recipientDelimiter, parents),
      ["*"],
    ],
  },
  aliases: {
    key: "local part, or local mail address",
    tables: "aliases of local users",
    turns: (key, { recipientDelimiter = "" } = {}) => [aliasKeys(key, recipientDelimiter)],
  },
  "sender-relayhost": { key: "sender address, or <>", tables: "sender-dependent relayhosts", turns: sender },
  "sender-transport": { key: "sender address, or <>", tables: "sender-dependent transports", turns: sender },
  "tls-policy": { key: "next-hop", tables: "TLS policies of next-hops", turns: (key) => [tlsPolicyKeys(key)] },
  "sasl-password": {
    key: "next-hop",
    tables: "passwords for next-hops",
    turns: (key, { sender: from, host, ...options } = {}) => [
      ...(from === undefined || from === "" ? [] : sender(from, options)),
      ...(host === undefined || host === key ? [] : [[host]]),
      [key],
    ],
  },
} satisfies Record<string, SearchOrder>;

export type SearchOrderName = keyof typeof orders;

/** By the names of `postern table query --as`. */
export const searchOrders: Readonly<Record<SearchOrderName, SearchOrder>> = Object.freeze(orders);
