// What a database knows in these stories, and the config of a gateway that has all its knowledge from there.
import type { TableSpec } from "@postern/core";
import type { Config } from "../e2e/gateway.ts";
import type { Service } from "../services/service.ts";

/** What stands in the database: for each table its keys, and for each key its values. */
export type World = Readonly<Record<TableName, Readonly<Record<string, readonly string[]>>>>;
export type TableName = (typeof tableNames)[number];
export const tableNames = [
  "relays",
  "people",
  "boxDomains",
  "boxes",
  "aliasDomains",
  "aliases",
  "routes",
  "senders",
] as const;

export interface Database {
  readonly specs: Readonly<Record<TableName, TableSpec>>;
  /** Files beside the config. */
  readonly files: Readonly<Record<string, string>>;
  readonly password: string;
  /** What no peer may be told. */
  readonly secrets: readonly string[];
  /** With an empty folder with the world in it; again with what was there, at the same place. */
  start(): Promise<Service>;
  /** Everything in it, to be compared. */
  dump(): string;
  /** The server lives, but does not have this table. */
  hide(table: TableName): void;
  /** It has it again. */
  show(table: TableName): void;
}

/** In `networks`; loopback is else a stranger. */
export const ours = "127.0.0.9";
export const stranger = "127.0.0.2";
export const own = "joe@home.test";
export const team = "team@alias.test";

const yes = ["x"];
/** Two peers and one that is not there yet, by their ports. */
export const describeWorld = (a: number, b: number, late: number): World => ({
  relays: { "corp.test": yes, "partner.test": yes, "late.test": yes },
  people: {
    "ann@corp.test": yes,
    "bob@partner.test": yes,
    "carl@sub.corp.test": yes,
    "eve@late.test": yes,
    "old@corp.test": yes,
    // Names that a careless query or filter would not survive.
    "o'hara@corp.test": yes,
    '"back\\\\slash (and) *"@corp.test': yes,
  },
  boxDomains: { "box.test": yes },
  boxes: { "joe@box.test": yes },
  aliasDomains: { "alias.test": yes },
  aliases: {
    [team]: ["ann@corp.test", "bob@partner.test", "joe@box.test"],
    "all@alias.test": [team, "carl@sub.corp.test"],
  },
  routes: {
    "corp.test": [`smtp:[127.0.0.1]:${a}`],
    ".corp.test": [`smtp:[127.0.0.1]:${b}`],
    "partner.test": [`relay:[127.0.0.1]:${b}`],
    "late.test": [`smtp:[127.0.0.1]:${late}`],
    "old@corp.test": ["error:5.1.6 Has moved"],
  },
  senders: { "spam.test": ["REJECT Not from there"] },
});

export const configOf = (specs: Database["specs"], more: Config = {}): Config => ({
  networks: [ours],
  // What stands here needs no database: its people have aliases and routes in files.
  domains: {
    local: ["home.test"],
    relay: { domains: specs.relays, recipients: specs.people },
    virtualMailbox: { domains: specs.boxDomains, recipients: specs.boxes },
    virtualAlias: specs.aliasDomains,
  },
  plugins: [
    "@postern/plugin-access",
    "@postern/plugin-transport-smtp",
    ["@postern/plugin-transport-maildir", { directory: "./mail" }],
    ["@postern/plugin-rewrite", { virtual: [{ [own]: own }, specs.aliases] }],
  ],
  routes: [{ [own]: ":" }, specs.routes],
  policy: {
    mail: [
      ["check_sender_access", { "friend.test": "OK" }],
      ["check_sender_access", specs.senders],
    ],
  },
  queue: { directory: "./queue", minBackoff: "1s", maxBackoff: "2s" },
  ...more,
});
