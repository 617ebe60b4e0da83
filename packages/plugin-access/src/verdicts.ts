/** permit, reject, defer: words that ask nothing. */
import { defer, describeSubject, permit, reject, rejectedText, stages, type Restriction } from "@postern/core";
import { noArguments } from "./arguments.ts";

export const permitWord: Restriction<[]> = {
  name: "permit",
  always: "permit",
  stages,
  args: noArguments,
  description: "Permits and ends the list. Never satisfies the relay guard.",
  compile: () => () => permit,
};

export const rejectWord: Restriction<[]> = {
  name: "reject",
  always: "reject",
  stages,
  args: noArguments,
  description: "Rejects (554 5.7.1).",
  compile: () => (ask) => reject(rejectedText(describeSubject(ask), "Access denied"), "5.7.1", 554),
};

export const deferWord: Restriction<[]> = {
  name: "defer",
  always: "defer",
  stages,
  args: noArguments,
  description: "Defers (450 4.3.2).",
  compile: () => (ask) => defer(rejectedText(describeSubject(ask), "Try again later"), "4.3.2", 450),
};
