/** check_*_access: what a table says about the client, its HELO name, the sender, a recipient or a login (access(5)). */
import {
  accessAddressKeys,
  AccessTable,
  after,
  domainKeys,
  isSenderSpecifiedRouting,
  networkKeys,
  partsOf,
  stages,
  subjectOf,
  type Answer,
  type Ask,
  type Client,
  type MaybePromise,
  type Restriction,
  type Stage,
  type Subject,
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
      return table.askInTurn(clientOrders(ask.session.client), client, ask);
    },
  }),
  checkAccess({
    name: "reverse_client_hostname",
    about: "the client's name as its address gives it, whether or not it leads back, then its address",
    stages,
    mayPermit: false,
    look(table, ask) {
      return table.askInTurn(reverseOrders(ask.session.client), reverseClient, ask);
    },
  }),
  checkAccess({
    name: "helo",
    about: "the HELO or EHLO name and its parent domains",
    stages: fromHelo,
    look(table, ask) {
      const name = ask.session.helo?.name;
      return name === undefined ? undefined : table.ask(heloKeys(name), helo, ask);
    },
  }),
  checkAccess({
    name: "sender",
    about: "the sender, its domain and parent domains, its local part; the null sender is the key <>",
    stages: fromMail,
    look(table, ask, recipientDelimiter) {
      const address = ask.transaction?.sender;
      if (address === undefined) return undefined;
      return table.ask(senderKeys(address, recipientDelimiter), sender, ask);
    },
  }),
  checkAccess({
    name: "recipient",
    about: "the recipient, its domain and parent domains, its local part",
    stages: fromRcpt,
    look(table, ask, recipientDelimiter) {
      if (ask.recipient === undefined) return undefined;
      const { address, original } = ask.recipient;
      const answer = table.ask(recipientKeys(address, recipientDelimiter), recipient, ask);
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
        : table.ask([login], () => ({ name: login, label: "SASL login name" }), ask);
    },
  }),
];

const client = (ask: Ask): Subject => subjectOf("connect", ask);
const helo = (ask: Ask): Subject => subjectOf("helo", ask);
const sender = (ask: Ask): Subject => subjectOf("mail", ask);
const recipient = (ask: Ask): Subject => subjectOf("rcpt", ask);
const reverseClient = (ask: Ask): Subject => ({
  name: ask.session.client.reverseName,
  label: "Unverified Client host",
});

// The words of one list mostly ask about the same client, sender and recipient.
const clientOrders = lastResult(({ name, address }: Client) => hostOrders(name, address));
const reverseOrders = lastResult(({ reverseName, address }: Client) => hostOrders(reverseName, address));
const heloKeys = lastResult((name: string) => domainKeys(name));
const senderKeys = lastResult((address: string, delimiter: string) => accessAddressKeys(address, delimiter));
const recipientKeys = lastResult((address: string, delimiter: string) => accessAddressKeys(address, delimiter));

function lastResult<Key, Result>(compute: (key: Key, more: string) => Result): (key: Key, more?: string) => Result {
  let last: { readonly key: Key; readonly more: string; readonly result: Result } | undefined;
  return (key, more = "") => {
    if (last === undefined || last.key !== key || last.more !== more) last = { key, more, result: compute(key, more) };
    return last.result;
  };
}

function hostOrders(name: string, address: string | undefined): readonly (readonly string[])[] {
  return address === undefined ? [domainKeys(name)] : [domainKeys(name), networkKeys(address)];
}

function withoutPermit(answer: Answer): Answer {
  const parts = partsOf(answer);
  const others = parts.filter(({ kind }) => kind !== "permit");
  if (others.length === parts.length) return answer;
  return others.length === 0 ? undefined : others;
}
