/** reject_*sender_login_mismatch: who may send as whom, by the tables of `senderLogins`. */
import {
  addressKeys,
  after,
  ConfigError,
  findFirst,
  reject,
  rejectedText,
  splitWords,
  subjectOf,
  type Answer,
  type Ask,
  type CompileScope,
  type LookupTable,
  type MaybePromise,
  type Restriction,
} from "@postern/core";
import { noArguments } from "./arguments.ts";
import type { WordContext } from "./context.ts";
import { fromMail } from "./stages.ts";

/** The login names that own a sender; `undefined` when nobody does. */
type OwnersOf = (sender: string) => MaybePromise<readonly string[] | undefined>;
type JudgeLogin = (ownersOf: OwnersOf, ask: Ask, sender: string) => MaybePromise<Answer>;

export const senderLoginWords = (context: WordContext): readonly Restriction<[]>[] => [
  loginWord(
    "reject_authenticated_sender_login_mismatch",
    "Rejects (553 5.7.1) senders that the client, logged in, does not own by the option `senderLogins`, or that nobody owns.",
    context,
    (ownersOf, ask, sender) => judgeLoggedIn(ownersOf, ask, sender, "refused"),
  ),
  loginWord(
    "reject_known_sender_login_mismatch",
    "Rejects (553 5.7.1) senders that have owners by the option `senderLogins`, when the client is not logged in as one of them.",
    context,
    (ownersOf, ask, sender) =>
      ask.session.auth === undefined
        ? judgeStranger(ownersOf, ask, sender)
        : judgeLoggedIn(ownersOf, ask, sender, "allowed"),
  ),
  loginWord(
    "reject_unauthenticated_sender_login_mismatch",
    "Rejects (553 5.7.1) senders that have an owner by the option `senderLogins`, when the client is not logged in.",
    context,
    judgeStranger,
  ),
  loginWord(
    "reject_sender_login_mismatch",
    "Rejects (553 5.7.1) senders that the client, logged in, does not own by the option `senderLogins`, and owned ones of clients that are not logged in.",
    context,
    (ownersOf, ask, sender) =>
      ask.session.auth === undefined
        ? judgeStranger(ownersOf, ask, sender)
        : judgeLoggedIn(ownersOf, ask, sender, "refused"),
  ),
];

function loginWord(name: string, description: string, { options }: WordContext, judge: JudgeLogin): Restriction<[]> {
  return {
    name,
    stages: fromMail,
    args: noArguments,
    description,
    async compile(_, scope) {
      const { senderLogins = [] } = options;
      const specs = Array.isArray(senderLogins) ? senderLogins : [senderLogins];
      if (specs.length === 0)
        throw new ConfigError(
          'it needs the option "senderLogins" of @postern/plugin-access, which says who owns a sender',
        );
      const tables: LookupTable[] = [];
      for (const spec of specs) tables.push(await scope.table(spec));
      const ownersOf = ownersBy(tables, scope);
      return (ask) => {
        const sender = ask.transaction?.sender;
        return sender === undefined || sender === "" ? undefined : judge(ownersOf, ask, sender);
      };
    },
  };
}

function ownersBy(tables: readonly LookupTable[], { addresses }: Pick<CompileScope, "addresses">): OwnersOf {
  const { recipientDelimiter } = addresses;
  return (sender) =>
    after(addresses.classOf(sender.slice(sender.lastIndexOf("@") + 1)), (name) =>
      after(findFirst(tables, addressKeys(sender, { recipientDelimiter, isLocal: name === "local" })), (match) =>
        match === undefined ? undefined : splitWords(match.value),
      ),
    );
}

function judgeLoggedIn(
  ownersOf: OwnersOf,
  ask: Ask,
  sender: string,
  ownerless: "allowed" | "refused",
): MaybePromise<Answer> {
  const login = ask.session.auth?.identity;
  if (login === undefined) return undefined;
  return after(ownersOf(sender), (owners) => {
    if (owners === undefined && ownerless === "allowed") return undefined;
    const isOwner = owners?.some((owner) => owner.toLowerCase() === login.toLowerCase());
    return isOwner === true ? undefined : refuse(ask, `not owned by user ${login}`);
  });
}

function judgeStranger(ownersOf: OwnersOf, ask: Ask, sender: string): MaybePromise<Answer> {
  if (ask.session.auth !== undefined) return undefined;
  return after(ownersOf(sender), (owners) => (owners === undefined ? undefined : refuse(ask, "not logged in")));
}

function refuse(ask: Ask, why: string): Answer {
  return reject(rejectedText(subjectOf("mail", ask), why), "5.7.1", 553);
}
