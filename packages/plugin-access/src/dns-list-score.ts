/** reject_dnsbl_score: several lists about one client, each with a weight, as postscreen(8) adds them up. A word of ours. */
import { ConfigError, defer, rejectedText, stages, type Answer, type Ask, type Restriction } from "@postern/core";
import { z } from "zod";
import { createBudget } from "./budget.ts";
import type { WordContext } from "./context.ts";
import { addressQuestion, askList, parseDnsList, reasonFor, type DnsList } from "./dns-list.ts";
import { openRblReply, type RblReply } from "./rbl-reply.ts";

interface WeightedList {
  readonly list: DnsList;
  readonly weight: number;
}

const mostLists = 50;
const largestWeight = 127;

const threshold = z
  .union([z.string(), z.number()])
  .transform(Number)
  .pipe(z.int().min(1).max(1000))
  .meta({ title: "threshold" });
const site = z.string().min(1).meta({ title: "zone=filter*weight" });

export const rejectDnsblScore = (context: WordContext): Restriction<[number, string, ...string[]]> => ({
  name: "reject_dnsbl_score",
  stages,
  args: z.tuple([threshold, site], site),
  description:
    "Rejects (554 5.7.1) when the weights of the DNS lists that name the client's address reach a threshold: `reject_dnsbl_score 3 zen.example=127.0.0.[2..11]*3 bl.example*2 wl.example*-4`. Allow lists have negative weights. All are asked at once.",
  async compile([least, ...written], scope) {
    if (written.length > mostLists) throw new ConfigError(`more than ${mostLists} lists`);
    const lists = written.map(parseWeighted);
    const replyFor = await openRblReply(context.options, scope);
    return (ask) => {
      const { address } = ask.session.client;
      return address === undefined ? undefined : judge(address, least, lists, replyFor, ask, context);
    };
  },
});

/** `zone`, `zone=filter`, `zone*weight`, `zone=filter*weight`; the weight is 1 unless given. Throws `ConfigError`. */
function parseWeighted(written: string): WeightedList {
  const star = written.lastIndexOf("*");
  const list = parseDnsList(star < 0 ? written : written.slice(0, star));
  const weight = star < 0 ? 1 : Number(written.slice(star + 1).trim() || NaN);
  if (!Number.isInteger(weight) || Math.abs(weight) > largestWeight || weight === 0) {
    throw new ConfigError(`"${written}": a weight is a whole number from -${largestWeight} to ${largestWeight}, not 0`);
  }
  return { list, weight };
}

async function judge(
  address: string,
  least: number,
  lists: readonly WeightedList[],
  replyFor: RblReply,
  ask: Ask,
  context: WordContext,
): Promise<Answer> {
  const budget = createBudget(context);
  const answers = await Promise.all(
    lists.map(({ list }) => askList(addressQuestion(address, list) ?? list.zone, list, context.dns, budget)),
  );
  let score = 0;
  /** What silent allow lists could take off. */
  let doubt = 0;
  let heaviest: WeightedList | undefined;
  for (const [at, weighted] of lists.entries()) {
    const listed = answers[at];
    if (listed === undefined) doubt += Math.min(weighted.weight, 0);
    if (listed !== true) continue;
    score += weighted.weight;
    // Of equal ones the first.
    if (heaviest === undefined || weighted.weight > heaviest.weight) heaviest = weighted;
  }
  if (score < least || heaviest === undefined) return undefined;
  if (score + doubt < least) {
    return defer(rejectedText({ name: address, label: "Client host" }, "Service unavailable"), "4.7.1", 450);
  }
  const { list } = heaviest;
  const reason = await reasonFor(addressQuestion(address, list) ?? list.zone, context.dns, budget);
  return replyFor({ list, what: address, label: "Client host", reason }, ask);
}
