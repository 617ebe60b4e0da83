/** Commands of a session as a milter is told them, and what the flags of the protocol say of each. */
import { commandLetters, encodeTexts, steps, type Command, type MacroStage } from "../protocol/index.ts";
import type { Occasion } from "./macros.ts";

/** A command of the session and what goes with it. */
export interface Step {
  readonly kind: "connect" | "helo" | "mail" | "recipient" | "data" | "unknown";
  readonly command: Command;
  readonly occasion: Occasion;
}

/** Is it about a recipient whom the gateway has refused? */
export function isOfRefused({ occasion }: Step): boolean {
  return occasion.refusal !== undefined;
}

export interface StepRule {
  /** The milter leaves it out. */
  readonly no: number;
  readonly noReply: number;
  readonly macros: MacroStage | undefined;
  /** Belongs to a message. */
  readonly ofMessage: boolean;
}

export const rules: Readonly<Record<Step["kind"], StepRule>> = {
  connect: { no: steps.noConnect, noReply: steps.noReplyToConnect, macros: "connect", ofMessage: false },
  helo: { no: steps.noHelo, noReply: steps.noReplyToHelo, macros: "helo", ofMessage: false },
  mail: { no: steps.noMail, noReply: steps.noReplyToMail, macros: "mail", ofMessage: true },
  recipient: { no: steps.noRecipient, noReply: steps.noReplyToRecipient, macros: "recipient", ofMessage: true },
  data: { no: steps.noData, noReply: steps.noReplyToData, macros: "data", ofMessage: true },
  unknown: { no: steps.noUnknown, noReply: steps.noReplyToUnknown, macros: undefined, ofMessage: false },
};

/** Is it in the version that is spoken? */
export function isKnown(kind: Step["kind"], known: number): boolean {
  if (kind === "data") return (known & steps.noData) !== 0;
  return kind !== "unknown" || (known & steps.noUnknown) !== 0;
}

export function macrosPacket(of: string, macros: Readonly<Record<string, string>>): Buffer {
  return encodeTexts(commandLetters.macros, Object.entries(macros).flat(), of);
}
