/** reject_rbl_client, reject_rhsbl_*, permit_dnswl_client, permit_rhswl_client: one list, one answer. */
import {
  after,
  defer,
  permit,
  rejectedText,
  stages,
  type AddressBook,
  type Answer,
  type Ask,
  type MaybePromise,
  type Restriction,
  type Stage,
  type Subject,
} from "@postern/core";
import { z } from "zod";
import { createBudget } from "./budget.ts";
import type { WordContext } from "./context.ts";
import { isAuthorizedDestination } from "./destinations.ts";
import { addressQuestion, askList, domainQuestion, parseDnsList, reasonFor, type DnsList } from "./dns-list.ts";
import { openRblReply } from "./rbl-reply.ts";
import { fromHelo, fromMail, fromRcpt } from "./stages.ts";

/** What a list is asked about. */
interface Listable {
  /** As a reply names it. */
  readonly what: string;
  readonly label: Subject["label"];
  readonly question: (list: DnsList) => string | undefined;
}

interface ListWord {
  readonly name: string;
  readonly about: string;
  readonly stages: readonly Stage[];
  readonly listable: (ask: Ask) => Listable | undefined;
}

const clientAddress: ListWord = {
  name: "rbl_client",
  about: "the client's address",
  stages,
  listable: ({ session: { client } }) => aboutAddress(client.address),
};

const clientName: ListWord = {
  name: "rhsbl_client",
  about: "the client's name",
  stages,
  listable: ({ session: { client } }) => aboutName(client.name, "Client host"),
};

const denying: readonly ListWord[] = [
  clientAddress,
  clientName,
  {
    name: "rhsbl_reverse_client",
    about: "the client's unverified name",
    stages,
    listable: ({ session: { client } }) => aboutName(client.reverseName, "Unverified Client host"),
  },
  {
    name: "rhsbl_helo",
    about: "the HELO name",
    stages: fromHelo,
    listable: ({ session }) => aboutName(session.helo?.name, "Helo command"),
  },
  {
    name: "rhsbl_sender",
    about: "the sender's domain",
    stages: fromMail,
    listable: ({ transaction }) => aboutMailbox(transaction?.sender, "Sender address"),
  },
  {
    name: "rhsbl_recipient",
    about: "the recipient's domain",
    stages: fromRcpt,
    listable: ({ recipient }) => aboutMailbox(recipient?.address, "Recipient address"),
  },
];

const allowing: readonly ListWord[] = [
  { ...clientAddress, name: "dnswl_client" },
  { ...clientName, name: "rhswl_client" },
];

const oneList: z.ZodType<[string]> = z.tuple([z.string().min(1).meta({ title: "zone" })]);

export const dnsListWords = (context: WordContext): readonly Restriction<[string]>[] => [
  ...denying.map((word) => rejectListed(word, context)),
  ...allowing.map((word) => permitListed(word, context)),
];

function rejectListed(word: ListWord, context: WordContext): Restriction<[string]> {
  return {
    name: `reject_${word.name}`,
    stages: word.stages,
    args: oneList,
    description: `Rejects (554 5.7.1) when a DNS list names ${word.about}: \`zone\`, or \`zone=127.0.0.[2..4;8]\` for some of its answers. A list that does not answer names nobody.`,
    async compile([written], scope) {
      const list = parseDnsList(written);
      const replyFor = await openRblReply(context.options, scope);
      return (ask) => {
        const listable = word.listable(ask);
        const question = listable?.question(list);
        if (listable === undefined || question === undefined) return undefined;
        return rejectWhenListed(question);

        async function rejectWhenListed(name: string): Promise<Answer> {
          const budget = createBudget(context);
          if ((await askList(name, list, context.dns, budget)) !== true) return undefined;
          const reason = await reasonFor(name, context.dns, budget);
          const { what, label } = listable as Listable;
          return replyFor({ list, what, label, reason }, ask);
        }
      };
    },
  };
}

function permitListed(word: ListWord, context: WordContext): Restriction<[string]> {
  return {
    name: `permit_${word.name}`,
    stages: word.stages,
    args: oneList,
    description: `Permits when a DNS allow list names ${word.about}, for recipients in \`domains\` alone. When the list does not answer, what later words reject is deferred.`,
    compile([written], { addresses }) {
      const list = parseDnsList(written);
      return (ask) => {
        const listable = word.listable(ask);
        const question = listable?.question(list);
        if (listable === undefined || question === undefined) return undefined;
        return after(mayBeAllowed(ask, addresses), (may) => (may ? permitWhenListed(question) : undefined));

        async function permitWhenListed(name: string): Promise<Answer> {
          const listed = await askList(name, list, context.dns, createBudget(context));
          if (listed !== undefined) return listed ? permit : undefined;
          const { what, label } = listable as Listable;
          const { reply } = defer(rejectedText({ name: what, label }, "Service unavailable"), "4.7.1", 450);
          return { kind: "deferIfReject", reply };
        }
      };
    },
  };
}

/** At RCPT for recipients of ours alone: an allow list lets nobody past the words that keep strangers from relaying. */
function mayBeAllowed({ stage, recipient }: Ask, addresses: AddressBook): MaybePromise<boolean> {
  if (recipient === undefined || stage === "data" || stage === "message") return true;
  return isAuthorizedDestination(recipient, addresses);
}

function aboutAddress(address: string | undefined): Listable | undefined {
  if (address === undefined) return undefined;
  return { what: address, label: "Client host", question: (list) => addressQuestion(address, list) };
}

function aboutName(name: string | undefined, label: Subject["label"]): Listable | undefined {
  if (name === undefined || name === "unknown") return undefined;
  return { what: name, label, question: (list) => domainQuestion(name, list) };
}

function aboutMailbox(address: string | undefined, label: Subject["label"]): Listable | undefined {
  if (address === undefined || address === "") return undefined;
  const domain = address.slice(address.lastIndexOf("@") + 1);
  return { what: address, label, question: (list) => domainQuestion(domain, list) };
}
