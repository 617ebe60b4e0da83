// Whatever scanners, edits and the last word say together: each recipient has one fate, which a few lines here foretell; what is refused is
// nowhere, and what was refused for somebody does not reach him before it is released.
import { definePlugin, reply, type Edit, type Effect, type HandoverAnswer, type RecipientAnswer } from "@postern/core";
import { createTestGateway } from "@postern/testkit";
import { expect, it } from "vitest";
import { z } from "zod";
import { talk } from "../e2e/client.ts";
import { until } from "../e2e/until.ts";
import { randomFrom, sample, seed } from "../sampling.ts";

type Mixed = "reject-all" | "discard" | "quarantine";
type Fate = "permit" | "reject" | "defer" | "discard" | "quarantine";
type LastWord = "queue" | "take" | "filter" | "reject" | "defer" | "fail";

interface Plan {
  readonly recipients: readonly string[];
  readonly fates: readonly Fate[];
  readonly effects: readonly Effect[];
  readonly edits: readonly Extract<Edit, { readonly kind: "addRecipient" | "removeRecipient" }>[];
  readonly lastWord: LastWord;
}

/** Sorted lists of recipients. */
interface Outcome {
  readonly code: number;
  readonly delivered: readonly string[];
  readonly handed: readonly string[];
  /** One list for each message that is put aside. */
  readonly aside: readonly (readonly string[])[];
}

const refused: Outcome = { code: 0, delivered: [], handed: [], aside: [] };
const names = ["a", "b", "c", "d"].map((name) => `${name}@example.test`);

const answers: Readonly<Record<Fate, RecipientAnswer>> = {
  permit: undefined,
  reject: { kind: "reject", reply: reply(550, "5.7.1", "no") },
  defer: { kind: "defer", reply: reply(451, "4.7.1", "later") },
  discard: { kind: "discard" },
  quarantine: { kind: "quarantine", text: "for some" },
};

const lastWords: Readonly<Record<LastWord, HandoverAnswer>> = {
  queue: undefined,
  take: { kind: "taken", reply: reply(250, "2.0.0", "taken") },
  filter: { kind: "filter", destination: "smtp:[127.0.0.1]:10025" },
  reject: { kind: "reject", reply: reply(554, "5.7.1", "filtered") },
  defer: { kind: "defer", reply: reply(451, "4.7.1", "filter is down") },
  fail: undefined,
};

function foretell({ recipients, fates, effects, edits, lastWord }: Plan, mixed: Mixed): Outcome {
  const having = (...wanted: readonly Fate[]): string[] =>
    recipients.filter((_, at) => wanted.includes(fates[at] as Fate));
  const does = (kind: Effect["kind"]): boolean => effects.some((effect) => effect.kind === kind);
  if (having("defer").length > 0) return { ...refused, code: 451 };
  const rejected = having("reject");
  if (rejected.length > 0 && (mixed === "reject-all" || rejected.length === recipients.length))
    return { ...refused, code: 550 };
  let taken = having("permit");
  let aside = having("quarantine", ...(mixed === "quarantine" ? (["reject"] as const) : []));
  const dropped = having("discard", ...(mixed === "discard" ? (["reject"] as const) : []));
  const wholeAside = does("quarantine") || (taken.length === 0 && aside.length > 0);
  if (taken.length === 0) [taken, aside] = [aside, []];
  const isDropped = does("discard") || taken.length === 0;
  const shut = new Set([...aside, ...(taken.length === 0 ? [] : dropped)]);
  const to = new Set(taken);
  for (const effect of effects) if (effect.kind === "bcc" && !shut.has(effect.address)) to.add(effect.address);
  for (const { kind, address } of edits) {
    if (kind === "removeRecipient") to.delete(address);
    else if (!shut.has(address)) to.add(address);
  }
  const redirect = effects.findLast((effect) => effect.kind === "redirect");
  const envelope = redirect === undefined ? [...to].toSorted() : [redirect.address];
  const others = aside.length === 0 ? [] : [aside.toSorted()];
  if (isDropped) return { ...refused, code: 250, aside: others };
  if (envelope.length === 0) return { ...refused, code: 554 };
  const held = wholeAside || does("hold");
  if (lastWord === "reject") return { ...refused, code: 554 };
  if (lastWord === "defer" || lastWord === "fail") return { ...refused, code: 451 };
  if (lastWord === "take" && !held) return { ...refused, code: 250, handed: envelope, aside: others };
  if (wholeAside) return { ...refused, code: 250, aside: [...others, envelope] };
  return { ...refused, code: 250, delivered: held ? [] : envelope, aside: others };
}

function planFrom(random: () => number): Plan {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const some = <T>(chance: number, make: () => T): T[] => (random() < chance ? [make()] : []);
  const recipients = names.slice(0, 1 + Math.floor(random() * names.length));
  const address = (): string => pick([...names, "x@example.test"]);
  const fate = (): Fate =>
    random() < 0.5 ? "permit" : pick(["reject", "discard", "quarantine", ...some(0.1, () => "defer" as const)]);
  return {
    recipients,
    fates: recipients.map(fate),
    effects: [
      ...some(0.15, () => ({ kind: "quarantine", text: "whole" }) as const),
      ...some(0.15, () => ({ kind: "hold" }) as const),
      ...some(0.1, () => ({ kind: "discard" }) as const),
      ...some(0.15, () => ({ kind: "redirect", address: "trap@example.test" }) as const),
      ...some(0.3, () => ({ kind: "bcc", address: address() }) as const),
      ...some(0.15, () => ({ kind: "filter", destination: "smtp:[127.0.0.1]:10026" }) as const),
    ],
    edits: Array.from({ length: Math.floor(random() ** 2 * 4) }, () => ({
      kind: pick(["addRecipient", "removeRecipient"] as const),
      address: address(),
    })),
    lastWord: pick(["queue", "queue", "take", "filter", "reject", "defer", "fail"]),
  };
}

it.each<Mixed>(["reject-all", "discard", "quarantine"])(
  `policy.mixed %s: each message fares as foretold (seed ${seed})`,
  async (mixed) => {
    const random = randomFrom(seed);
    let plan = planFrom(random);
    let handed: readonly string[] = [];
    const planned = definePlugin({
      name: "planned",
      apiVersion: 1,
      options: z.strictObject({}),
      setup(gateway) {
        const scanner = { description: "By plan.", onError: "defer" } as const;
        gateway.scanner({
          ...scanner,
          name: "each",
          scan: () => ({ kind: "perRecipient", answers: plan.fates.map((fate) => answers[fate]) }),
        });
        gateway.scanner({
          ...scanner,
          name: "all",
          scan: async () => [...plan.effects, ...plan.edits.map((edit) => ({ kind: "edit", edit }) as const)],
        });
        gateway.handover({
          name: "last",
          description: "By plan.",
          async take({ envelope, held }) {
            const { lastWord } = plan;
            if (lastWord === "fail") throw new Error("by plan");
            if (lastWord === "take") {
              if (held) return undefined;
              handed = envelope.recipients.map(({ address }) => address).toSorted();
            }
            return lastWords[lastWord];
          },
        });
      },
    });
    await using gateway = await createTestGateway(
      { domains: { relay: ["example.test"] }, policy: { mixed } },
      { plugins: [planned] },
    );
    const { quarantine } = gateway.runtime;
    for (let round = 0; round < sample(150, 5000); round += 1) {
      plan = planFrom(random);
      handed = [];
      const [deliveriesBefore, asideBefore] = [gateway.deliveries.length, gateway.quarantined.length];
      const expected = foretell(plan, mixed);
      const where = JSON.stringify({ seed, round, plan });
      const client = talk(gateway.connect());
      await client.reply();
      await client.say("EHLO client.test");
      await client.say("MAIL FROM:<sender@source.test>");
      for (const recipient of plan.recipients) await client.say(`RCPT TO:<${recipient}>`);
      const said = await client.data(`Subject: ${round}\r\nBcc: hidden@example.test\r\n\r\nx\r\n`);
      client.hangUp();
      expect(Number(said.slice(0, 3)), `${said} ${where}`).toBe(expected.code);
      const delivered = () => gateway.deliveries.slice(deliveriesBefore).flatMap(({ recipients }) => recipients);
      await until(() => delivered().length >= expected.delivered.length);
      expect(delivered().toSorted(), where).toEqual(expected.delivered);
      expect(handed, where).toEqual(expected.handed);
      // A part that was put aside first is taken out again.
      await until(() => quarantine.status().messages === expected.aside.length);
      const { entries } = await quarantine.search({});
      expect(
        entries.map(({ recipients }) => recipients.toSorted()).toSorted((one, other) => one.length - other.length),
        where,
      ).toEqual(expected.aside.toSorted((one, other) => one.length - other.length));
      expect(gateway.quarantined.length - asideBefore).toBeGreaterThanOrEqual(entries.length);
      for (const { id, recipients } of entries) {
        const before = gateway.deliveries.length;
        await quarantine.release(id);
        await gateway.delivered(before + 1);
        expect(gateway.deliveries.at(-1)?.recipients.toSorted(), where).toEqual(recipients.toSorted());
      }
    }
  },
  sample(20_000, 600_000),
);
