/** check_*_access: what a table says about the client, its HELO name, the sender or a recipient (access(5)). */
import {
  accessAddressKeys,
  AccessTable,
  describeSubject,
  domainKeys,
  networkKeys,
  stages,
  type Answer,
  type Ask,
  type MaybePromise,
  type Restriction,
  type Stage,
  type TableSpec,
} from "@postern/core";
import { oneTable } from "./arguments.ts";

type Look = (table: AccessTable, ask: Ask, recipientDelimiter: string) => MaybePromise<Answer>;

function checkAccess(
  name: string,
  what: string,
  own: readonly Stage[],
  look: Look,
  authorizes: readonly Stage[] = [],
): Restriction<[TableSpec]> {
  return {
    name,
    stages: own,
    args: oneTable,
    description: `Does what a table says about ${what}: OK, REJECT, DEFER, 4NN or 5NN with a text, DUNNO, restrictions by name, and so on.`,
    authorizes,
    async compile([spec], scope) {
      const table = await AccessTable.open(spec, scope);
      const { recipientDelimiter } = scope.addresses;
      return (ask) => look(table, ask, recipientDelimiter);
    },
  };
}

const fromHelo: readonly Stage[] = stages.slice(stages.indexOf("helo"));
const fromMail: readonly Stage[] = stages.slice(stages.indexOf("mail"));

export const checkClientAccess = checkAccess(
  "check_client_access",
  "the client's name and its parent domains, then its address and its parent networks",
  stages,
  (table, ask) => {
    const { name, address } = ask.session.client;
    const orders = address === undefined ? [domainKeys(name)] : [domainKeys(name), networkKeys(address)];
    return table.askInTurn(orders, describeSubject({ ...ask, stage: "connect" }), ask);
  },
  ["relay"],
);

export const checkHeloAccess = checkAccess(
  "check_helo_access",
  "the HELO or EHLO name and its parent domains",
  fromHelo,
  (table, ask) => {
    const name = ask.session.helo?.name;
    return name === undefined
      ? undefined
      : table.ask(domainKeys(name), describeSubject({ ...ask, stage: "helo" }), ask);
  },
);

export const checkSenderAccess = checkAccess(
  "check_sender_access",
  "the sender, its domain and parent domains, its local part; the null sender is the key <>",
  fromMail,
  (table, ask, recipientDelimiter) => {
    const sender = ask.transaction?.sender;
    if (sender === undefined) return undefined;
    return table.ask(accessAddressKeys(sender, recipientDelimiter), describeSubject({ ...ask, stage: "mail" }), ask);
  },
);

export const checkRecipientAccess = checkAccess(
  "check_recipient_access",
  "the recipient, its domain and parent domains, its local part",
  ["relay", "rcpt"],
  (table, ask, recipientDelimiter) => {
    const address = ask.recipient?.address;
    if (address === undefined) return undefined;
    return table.ask(accessAddressKeys(address, recipientDelimiter), describeSubject({ ...ask, stage: "rcpt" }), ask);
  },
);
