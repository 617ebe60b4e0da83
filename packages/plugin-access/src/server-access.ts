/**
 * check_*_a_access, check_*_mx_access, check_*_ns_access: what a table says about the addresses, mail servers or name servers of a
 * domain (Postfix's check_server_access). Names are looked up before addresses; an OK is a mistake.
 */
import {
  AccessTable,
  DnsUnavailable,
  domainKeys,
  formatIp,
  isValidHostname,
  networkKeys,
  parseAddressLiteral,
  parseIp,
  stages,
  subjectOf,
  type Answer,
  type Ask,
  type MaybePromise,
  type Resolver,
  type Restriction,
  type Stage,
  type Subject,
  type TableSpec,
} from "@postern/core";
import { oneTable } from "./arguments.ts";
import { createBudget, orUnavailable, type Budget } from "./budget.ts";
import type { WordContext } from "./context.ts";
import { fromHelo, fromMail, fromRcpt } from "./stages.ts";

type ServerType = "a" | "mx" | "ns";

interface Whose {
  /** Between `check_` and `_mx_access`. */
  readonly name: string;
  readonly about: string;
  readonly stages: readonly Stage[];
  /** The domain, and whom a refusal names. */
  readonly domain: (ask: Ask) => { readonly domain: string; readonly subject: Subject } | undefined;
}

const owners: readonly Whose[] = [
  {
    name: "client",
    about: "the client's name",
    stages,
    domain: (ask) => named(ask.session.client.name, subjectOf("connect", ask)),
  },
  {
    name: "reverse_client_hostname",
    about: "the client's unverified name",
    stages,
    domain: ({ session: { client } }) =>
      named(client.reverseName, { name: client.reverseName, label: "Unverified Client host" }),
  },
  {
    name: "helo",
    about: "the HELO name",
    stages: fromHelo,
    domain: (ask) => named(ask.session.helo?.name, subjectOf("helo", ask)),
  },
  {
    name: "sender",
    about: "the sender's domain",
    stages: fromMail,
    domain: (ask) => named(domainOf(ask.transaction?.sender), subjectOf("mail", ask)),
  },
  {
    name: "recipient",
    about: "the recipient's domain",
    stages: fromRcpt,
    domain: (ask) => named(domainOf(ask.recipient?.address), subjectOf("rcpt", ask)),
  },
];

const servers: Readonly<Record<ServerType, string>> = {
  a: "the addresses",
  mx: "the mail servers, by name and address,",
  ns: "the name servers, by name and address,",
};

/** Of one domain; nobody sane has more. */
const mostServers = 20;
const mostAddresses = 50;

export const serverAccessWords = (context: WordContext): readonly Restriction<[TableSpec]>[] =>
  owners.flatMap((whose) =>
    (["a", "mx", "ns"] as const).map((type) => ({
      name: `check_${whose.name}_${type}_access`,
      stages: whose.stages,
      args: oneTable,
      description: `Does what a table says about ${servers[type]} of ${whose.about}: as check_${whose.name}_access, without OK.`,
      async compile([spec], scope) {
        const table = await AccessTable.open(spec, scope, { mayPermit: false });
        return (ask) => {
          const asked = whose.domain(ask);
          return asked === undefined
            ? undefined
            : new ServerSearch(table, ask, () => asked.subject, context).run(type, asked.domain);
        };
      },
    })),
  );

class ServerSearch {
  readonly #table: AccessTable;
  readonly #ask: Ask;
  readonly #subject: () => Subject;
  readonly #dns: Resolver;
  readonly #budget: Budget;

  constructor(table: AccessTable, ask: Ask, subject: () => Subject, context: WordContext) {
    this.#table = table;
    this.#ask = ask;
    this.#subject = subject;
    this.#dns = context.dns;
    this.#budget = createBudget(context);
  }

  run(type: ServerType, domain: string): MaybePromise<Answer> {
    // An address literal is its own server, as a domain without MX is; no name server is its own.
    if (domain.startsWith("[")) {
      const ip = parseAddressLiteral(domain);
      return ip === undefined || type === "ns"
        ? undefined
        : this.#table.ask(networkKeys(formatIp(ip)), this.#subject, this.#ask);
    }
    return this.#search(type, domain);
  }

  async #search(type: ServerType, domain: string): Promise<Answer> {
    let names: readonly string[];
    try {
      names = type === "a" ? [domain] : await this.#namesOf(type, domain);
    } catch (error) {
      if (!(error instanceof DnsUnavailable)) throw error;
      // As Postfix: what is not known says nothing, and the log knows why.
      return { kind: "log", text: `Unable to look up ${type.toUpperCase()} host for ${domain}` };
    }
    for (const name of names.slice(0, mostServers)) {
      const found = await this.#tryServer(name, type !== "a");
      if (found !== undefined) return found.answer;
    }
    return undefined;
  }

  async #namesOf(type: "mx" | "ns", domain: string): Promise<readonly string[]> {
    if (type === "mx") {
      const records = isValidHostname(domain) ? await this.#budget.ask(() => this.#dns.mx(domain)) : [];
      if (records.length === 0) return [domain];
      return records.map(({ exchange }) => exchange).filter((exchange) => exchange !== "");
    }
    for (let zone = domain; zone !== ""; zone = parentOf(zone)) {
      const found = isValidHostname(zone) ? await this.#budget.ask(() => this.#dns.ns(zone)) : [];
      if (found.length > 0) return found;
    }
    return [];
  }

  /** By its name, when that is asked for, then by its addresses. */
  async #tryServer(name: string, byName: boolean): Promise<{ readonly answer: Answer } | undefined> {
    const ip = parseIp(name);
    if (ip !== undefined) return this.#tryKeys(networkKeys(formatIp(ip)));
    if (byName) {
      const found = await this.#tryKeys(domainKeys(name));
      if (found !== undefined) return found;
    }
    // With its final dot a name has no MX and no parents, and yet addresses.
    if (!isValidHostname(name.endsWith(".") ? name.slice(0, -1) : name)) return undefined;
    for (const ask of [() => this.#dns.a(name), () => this.#dns.aaaa(name)]) {
      const addresses = (await orUnavailable(this.#budget.ask(ask))) ?? [];
      for (const address of addresses.slice(0, mostAddresses)) {
        const found = await this.#tryKeys(networkKeys(address));
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  #tryKeys(keys: readonly string[]): MaybePromise<{ readonly answer: Answer } | undefined> {
    return this.#table.tryKeys(keys, this.#subject, this.#ask);
  }
}

function named(domain: string | undefined, subject: Subject): { domain: string; subject: Subject } | undefined {
  return domain === undefined || domain === "" || domain === "unknown" ? undefined : { domain, subject };
}

function domainOf(address: string | undefined): string | undefined {
  return address?.slice(address.lastIndexOf("@") + 1);
}

/** The empty string above the last one. */
function parentOf(domain: string): string {
  const dot = domain.indexOf(".");
  return dot < 0 ? "" : domain.slice(dot + 1);
}
