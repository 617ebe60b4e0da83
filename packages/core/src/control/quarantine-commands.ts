/** Commands about what is put aside: `postern quarantine list, show, release, delete`. Reading a content is a command of its own. */
import { ConfigError } from "../errors.ts";
import type { Quarantine, QuarantineQuery } from "../quarantine/index.ts";
import { actOnEach, idOf, idsOf } from "./ids.ts";
import type { ControlCommands } from "./server.ts";

type Args = Readonly<Record<string, unknown>>;

const mostRecipients = 1000;
const longestText = 1000;
/** Each may hold some megabytes while it is written anew. */
const releasedAtOnce = 8;

export function quarantineCommands(quarantine: Quarantine): ControlCommands {
  return {
    "quarantine list": (args) => quarantine.search(queryOf(args)),
    "quarantine show": (args) => quarantine.show(idOf(args)),
    "quarantine read": async (args) => {
      const { sizeBytes, octets } = await quarantine.read(
        idOf(args),
        countOf(args, "from", 0),
        countOf(args, "length", 1),
      );
      return { sizeBytes, octets: octets.toString("base64") };
    },
    "quarantine release": async (args) => {
      const to = recipientsOf(args);
      const queued: { id: string; queueId: string }[] = [];
      const acted = await actOnEach(
        idsOf(args),
        async (id) => {
          queued.push({ id, queueId: await quarantine.release(id, to) });
        },
        releasedAtOnce,
      );
      return { ...acted, queued };
    },
    "quarantine delete": (args) => actOnEach(idsOf(args), (id) => quarantine.delete(id)),
  };
}

function queryOf(args: Args): QuarantineQuery {
  const texts = ["from", "to", "reason", "subject", "after"] as const;
  const numbers = ["since", "until"] as const;
  return {
    ...Object.fromEntries(texts.flatMap((name) => (args[name] === undefined ? [] : [[name, textOf(args, name)]]))),
    ...Object.fromEntries(numbers.flatMap((name) => (args[name] === undefined ? [] : [[name, numberOf(args, name)]]))),
    ...(args["limit"] === undefined ? {} : { limit: countOf(args, "limit", 1) }),
  };
}

function recipientsOf({ to }: Args): readonly string[] | undefined {
  if (to === undefined) return undefined;
  const sound = Array.isArray(to) && to.length > 0 && to.length <= mostRecipients;
  if (!sound || !to.every((address) => typeof address === "string"))
    throw new ConfigError(`"to" is a list of at most ${mostRecipients} addresses`);
  return to;
}

function textOf(args: Args, name: string): string {
  const text = args[name];
  if (typeof text !== "string" || text.length > longestText)
    throw new ConfigError(`"${name}" is a text of at most ${longestText} characters`);
  return text;
}

function numberOf(args: Args, name: string): number {
  const number = args[name];
  if (typeof number !== "number" || !Number.isFinite(number)) throw new ConfigError(`"${name}" is a number`);
  return number;
}

function countOf(args: Args, name: string, least: number): number {
  const count = numberOf(args, name);
  if (!Number.isSafeInteger(count) || count < least) throw new ConfigError(`"${name}" is a number from ${least} on`);
  return count;
}
