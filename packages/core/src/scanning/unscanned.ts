/**
 * What stands when an engine gave no verdict: its owner's `onError` for the reason, as a finding. What is taken unscanned says so in its
 * header, and in the log.
 */
import type { Failed } from "../guard/guard.ts";
import { objectionFor } from "../guard/objection.ts";
import { policyFor } from "../guard/owner.ts";
import type { Edit, Message } from "../message/index.ts";
import type { Session } from "../model/index.ts";
import { nothingFound, type Finding } from "./finding.ts";

/** `X-Postern-Unscanned: av-clamd (down)`, one for each engine that was skipped. */
export const unscannedHeader = "X-Postern-Unscanned";

export function findingFor(failed: Failed, scanner: string): Finding {
  const { owner, reason } = failed;
  const why = `${scanner} gave no verdict (${reason})`;
  switch (policyFor(owner.onError, reason)) {
    case "skip":
      return {
        ...nothingFound,
        effects: [
          { kind: "prepend", name: unscannedHeader, value: `${scanner} (${reason})` },
          { kind: "log", text: `info: ${why}, taken unscanned` },
        ],
      };
    case "quarantine":
      return { ...nothingFound, effects: [{ kind: "quarantine", text: why }] };
    default:
      return { ...nothingFound, objection: objectionFor(failed) };
  }
}

const without: readonly Edit[] = Object.freeze([{ kind: "deleteHeader", name: unscannedHeader } as const]);
const nothing: readonly Edit[] = Object.freeze([]);

/** A stranger's word that a message is unscanned is worth nothing: it goes. That of another gateway of ours, in `networks`, stays. */
export function foreignMarks(message: Message, { client }: Session): readonly Edit[] {
  return !client.inNetworks && message.headers.has(unscannedHeader) ? without : nothing;
}
