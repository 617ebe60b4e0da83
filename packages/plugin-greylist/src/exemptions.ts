/** Who is not greylisted because the config says so. */
import { after, hostOf, type Ask, type Gateway, type MaybePromise } from "@postern/core";
import type { Options } from "./options.ts";

type Test = (ask: Ask) => MaybePromise<boolean>;

/** Lists that are not given are not asked. In the order of their cost: most name clients. */
export function createExemptions({ lists }: Pick<Gateway, "lists">, { allow, only }: Options): Test {
  const clients = lists.clients(allow.clients, "allow.clients");
  const senders = lists.addresses(allow.senders, "allow.senders");
  const recipients = lists.addresses(allow.recipients, "allow.recipients");
  const greylisted = only === undefined ? undefined : lists.addresses(only, "only");
  const tests: Test[] = [];
  if (!isEmpty(allow.clients))
    tests.push(({ session: { client } }) => {
      const host = hostOf(client);
      return host !== undefined && clients.matches(host);
    });
  if (!isEmpty(allow.recipients))
    tests.push(({ recipient }) => recipient !== undefined && recipients.matches(recipient.address));
  // The null sender is everybody's.
  if (!isEmpty(allow.senders))
    tests.push(
      ({ transaction }) =>
        transaction !== undefined && transaction.sender !== "" && senders.matches(transaction.sender),
    );
  if (greylisted !== undefined)
    tests.push(({ recipient }) => recipient === undefined || after(greylisted.matches(recipient.address), (is) => !is));
  return (ask) => firstOf(tests, ask, 0);
}

function firstOf(tests: readonly Test[], ask: Ask, from: number): MaybePromise<boolean> {
  const test = tests[from];
  if (test === undefined) return false;
  return after(test(ask), (is): MaybePromise<boolean> => is || firstOf(tests, ask, from + 1));
}

const isEmpty = (items: unknown): boolean => Array.isArray(items) && items.length === 0;
