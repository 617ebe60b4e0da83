/** check_*_access: what a table says about the client, its HELO name, the sender, a recipient or a login (access(5)). */
import {
  accessAddressKeys,
  AccessTable,
  after,
  domainKeys,
  isSenderSpecifiedRouting,
  networkKeys,
  stages,
  subjectOf,
  type Answer,
  type Ask,
  type MaybePromise,
  type Restriction,
  type Stage,
  type TableSpec,
} from "@postern/core";
import { oneTable } from "./arguments.ts";
import { fromHelo, fromMail, fromRcpt } from "./stages.ts";

interface AccessWord {
  /** Between `check_` and `_access`. */
  readonly name: string;
  readonly about: string;
  readonly stages: readonly Stage[];
  readonly look: (table: AccessTable, ask: Ask, recipientDelimiter: string) => MaybePromise<Answer>;
  readonly authorizes?: readonly Stage[];
  /** Strangers choose what is looked up: an OK is a mistake. */
  readonly mayPermit?: boolean;
}

function checkAccess(word: AccessWord): Restriction<[TableSpec]> {
  const { name, about, look, authorizes = [], mayPermit = true } = word;
  const results = mayPermit ? "OK, REJECT" : "REJECT";
  return {
    name: `check_${name}_access`,
    stages: word.stages,
    args: oneTable,
    description: `Does what a table says about ${about}: ${results}, DEFER, 4NN or 5NN with a text, DUNNO, restrictions by name, and so on.`,
    authorizes,
    async compile([spec], scope) {
      const table = await AccessTable.open(spec, scope, { mayPermit });
      const { recipientDelimiter } = scope.addresses;
      return (ask) => look(table, ask, recipientDelimiter);
    },
  };
}

export const accessWords: readonly Restriction<[TableSpec]>[] = [
  checkAccess({
    name: "client",
    about: "the client's name and its parent domains, then its address and its parent networks",
    stages,
    authorizes: ["relay"],
    look(table, ask) {
      const { name, address } = ask.session.client;
      return table.askInTurn(hostOrders(name, address), subjectOf("connect", ask), ask);
    },
  }),
  checkAccess({
    name: "reverse_client_hostname",
    about: "the client's name as its address gives it, whether or not it leads back, then its address",
    stages,
    mayPermit: false,
    look(table, ask) {
      const { reverseName, address } = ask.session.client;
      const subject = { name: reverseName, label: "Unverified Client host" } as const;
      return table.askInTurn(hostOrders(reverseName, address), subject, ask);
    },
  }),
  checkAccess({
    name: "helo",
    about: "the HELO or EHLO name and its parent domains",
    stages: fromHelo,
    look(table, ask) {
      const name = ask.session.helo?.name;
      return name === undefined ? undefined : table.ask(domainKeys(name), subjectOf("helo", ask), ask);
    },
  }),
  checkAccess({
    name: "sender",
    about: "the sender, its domain and parent domains, its local part; the null sender is the key <>",
    stages: fromMail,
    look(table, ask, recipientDelimiter) {
      const sender = ask.transaction?.sender;
      if (sender === undefined) return undefined;
      return table.ask(accessAddressKeys(sender, recipientDelimiter), subjectOf("mail", ask), ask);
    },
  }),
  checkAccess({
    name: "recipient",
    about: "the recipient, its domain and parent domains, its local part",
    stages: fromRcpt,
    look(table, ask, recipientDelimiter) {
      if (ask.recipient === undefined) return undefined;
      const { address, original } = ask.recipient;
      const answer = table.ask(accessAddressKeys(address, recipientDelimiter), subjectOf("rcpt", ask), ask);
      // Where such mail would end is for others to say: it may be refused for its address, but not let in.
      return isSenderSpecifiedRouting(address) || isSenderSpecifiedRouting(original)
        ? after(answer, withoutPermit)
        : answer;
    },
  }),
  checkAccess({
    name: "sasl",
    about: "the name that the client has logged in with",
    stages,
    look(table, ask) {
      const login = ask.session.auth?.identity;
      return login === undefined || login === ""
        ? undefined
        : table.ask([login], { name: login, label: "SASL login name" }, ask);
    },
  }),
];

function hostOrders(name: string, address: string | undefined): readonly (readonly string[])[] {
  return address === undefined ? [domainKeys(name)] : [domainKeys(name), networkKeys(address)];
}

function withoutPermit(answer: Answer): Answer {
  const parts = Array.isArray(answer) ? (answer as Extract<Answer, readonly unknown[]>) : undefined;
  if (parts !== undefined) return parts.filter(({ kind }) => kind !== "permit");
  return (answer as Exclude<Answer, readonly unknown[]>)?.kind === "permit" ? undefined : answer;
}
