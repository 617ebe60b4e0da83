/** ESMTP parameters that another mail server has taken: those that mean something here; the others are its own matter. */
import type { Recipient } from "../model/index.ts";
import {
  isRefused,
  parseMailParameters,
  parseRcptParameters,
  type MailParameters,
  type RcptParameters,
} from "../smtp/parameters.ts";

const mailKeyword = /^(?:SIZE|BODY|SMTPUTF8|RET|ENVID)(?:=|$)/i;
const rcptKeyword = /^(?:NOTIFY|ORCPT)(?:=|$)/i;

/** A parameter that cannot be read is as one that was not given. */
export function knownMailParameters(parameters: readonly string[]): MailParameters {
  let known = parseMailParameters("", Infinity) as MailParameters;
  for (const parameter of parameters) {
    const read = mailKeyword.test(parameter) ? parseMailParameters(parameter, Infinity) : undefined;
    if (read === undefined || isRefused(read)) continue;
    known = {
      ...known,
      ...read,
      body: read.body === "7bit" ? known.body : read.body,
      smtputf8: known.smtputf8 || read.smtputf8,
      declaredSizeBytes: read.declaredSizeBytes ?? known.declaredSizeBytes,
    };
  }
  return known;
}

export function knownRcptParameters(parameters: readonly string[]): RcptParameters {
  let known: Pick<Recipient, "orcpt" | "notify"> = {};
  for (const parameter of parameters) {
    const read = rcptKeyword.test(parameter) ? parseRcptParameters(parameter) : undefined;
    if (read !== undefined && !isRefused(read)) known = { ...known, ...read };
  }
  return known;
}
