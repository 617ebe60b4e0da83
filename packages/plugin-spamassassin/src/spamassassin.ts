/** SpamAssassin's verdicts in the gateway's words, for a whole message or for each recipient. */
import {
  reject,
  ScannerFailure,
  Slots,
  type EditPart,
  type RecipientAnswer,
  type ScanAnswer,
  type ScanAsk,
} from "@postern/core";
import type { Options } from "./options.ts";
import { scanFor, type Engine, type Scanned } from "./scan.ts";
import { scansFor } from "./users.ts";

export type Rules = Pick<
  Options,
  "onSpam" | "rejectScore" | "user" | "perRecipient" | "defaultUser" | "maxUsers" | "maxSize" | "connections"
>;

export function createSpamAssassin(engine: Engine, rules: Rules): (ask: ScanAsk) => Promise<ScanAnswer> {
  const slots = new Slots(rules.connections);
  return async (ask) => {
    const { message, transaction, signal } = ask;
    if (message.sizeBytes > rules.maxSize) {
      throw new ScannerFailure("tooLarge", `${message.sizeBytes} bytes are more than maxSize, ${rules.maxSize}`);
    }
    const scans = scansFor(transaction.recipients, rules);
    const results = await allOf(scans, signal, (scan, all) =>
      slots.run(all, () => scanFor(engine, scan.user, { ...ask, signal: all })),
    );
    const [only] = results;
    if (only !== undefined && results.length === 1) {
      const answer = answerFor(only, rules);
      if (answer?.kind === "reject") return answer;
      return answer === undefined ? editParts(only) : [...editParts(only), answer];
    }
    const answers: RecipientAnswer[] = transaction.recipients.map(() => undefined);
    scans.forEach(({ recipients }, at) => {
      const result = results[at];
      for (const place of recipients) answers[place] = result === undefined ? undefined : answerFor(result, rules);
    });
    // There is one message: whoever gets it sees the highest score of those who do.
    const shown = results
      .filter((result) => answerFor(result, rules) === undefined)
      .reduce<Scanned | undefined>(
        (worst, each) => (worst === undefined || each.score > worst.score ? each : worst),
        undefined,
      );
    return [...editParts(shown), { kind: "perRecipient", answers }];
  };
}

/** All at once; the first failure calls the others off. */
async function allOf<T, R>(
  items: readonly T[],
  signal: AbortSignal,
  call: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<readonly R[]> {
  const [first] = items;
  if (first !== undefined && items.length === 1) return [await call(first, signal)];
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.all(items.map((item) => call(item, controller.signal)));
  } finally {
    signal.removeEventListener("abort", onAbort);
    controller.abort();
  }
}

function answerFor(
  { spam, score, required }: Scanned,
  { onSpam, rejectScore }: Rules,
): Exclude<RecipientAnswer, { readonly kind: "permit" }> {
  const what = rejectScore !== undefined && score >= rejectScore ? "reject" : spam ? onSpam : "tag";
  if (what === "tag") return undefined;
  if (what === "reject") return reject("Spam message rejected");
  return { kind: what, text: `spam: ${score} of ${required}` };
}

function editParts(scanned: Scanned | undefined): readonly EditPart[] {
  return scanned?.edits.map((edit) => ({ kind: "edit", edit })) ?? [];
}
