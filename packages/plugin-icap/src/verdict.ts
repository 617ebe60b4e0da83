/**
 * What a service's answer means: read to the letter, since none of it is in RFC 3507. `X-Infection-Found`, `X-Violations-Found` and
 * `X-Virus-ID` are draft-stecher-icap-subid's; the others are makers' own. What is not exactly known is a failure, never "clean".
 */
import { ScannerFailure } from "@postern/core";
import { fault } from "./fault.ts";
import type { Fields } from "./fields.ts";

/** The beginning of an answer. */
export interface AnswerHead {
  /** Of ICAP. */
  readonly status: number;
  readonly fields: Fields;
}

/** The HTTP message inside. */
export interface Inside {
  /** Of a response; `undefined` for a request. */
  readonly status: number | undefined;
}

/** The name of what was found, or why something could not be looked into. */
type Finding = string | ScannerFailure;

/** The name of what was found; `undefined` when these fields name nothing. Throws `ScannerFailure` for what could not be looked into. */
export function findThreat(fields: Fields): string | undefined {
  const findings = readFindings(fields);
  // What could not be looked into hides nothing that was found beside it.
  const found = findings.find((finding) => typeof finding === "string");
  if (found !== undefined) return found;
  const unread = findings.find((finding) => finding instanceof ScannerFailure);
  if (unread !== undefined) throw unread;
  return undefined;
}

/** Of the first field that names any: makers say the same in several. */
function readFindings(fields: Fields): readonly Finding[] {
  const infection = fields.get("x-infection-found");
  if (infection !== undefined) return infection.split(/,(?=\s*type\s*=)/i).map(readInfection);
  const violations = fields.get("x-violations-found");
  if (violations !== undefined) {
    const [count = "", ...lines] = violations.split("\n");
    if (!/^\d+$/.test(count.trim())) throw fault("X-Violations-Found without a number");
    const names = lines.filter((_, at) => at % linesOfViolation === 1);
    if (Number(count) > 0) return (names.length === 0 ? ["violation"] : names).map(named);
  }
  const name = fields.get("x-virus-id") ?? fields.get("x-virus-name");
  if (name !== undefined && name !== "") return [named(name)];
  const blocked = fields.get("x-blocked-reason");
  if (blocked !== undefined && blocked !== "") return [named(blocked)];
  if (/^blocked\b/i.test(fields.get("x-response-info") ?? ""))
    return [named(fields.get("x-response-desc") ?? "blocked")];
  return [];
}

/** File, what was found, its number, what was done. */
const linesOfViolation = 4;

/** `Type=0; Resolution=2; Threat=Eicar;`: 0 a virus, 1 a policy's violation, 2 a container that could not be opened. */
function readInfection(value: string): Finding {
  const parameters = new Map(
    value.split(";").map((parameter) => {
      const equals = parameter.indexOf("=");
      return [parameter.slice(0, Math.max(equals, 0)).trim().toLowerCase(), parameter.slice(equals + 1).trim()];
    }),
  );
  const threat = parameters.get("threat") ?? "";
  if (parameters.get("type") === "2") {
    return new ScannerFailure("unscannable", `ICAP: the service could not look inside: ${printable(threat)}`);
  }
  return named(threat === "" ? "unnamed" : threat);
}

/** What a name says of content that nobody could read is no finding. */
function named(name: string): Finding {
  if (/encrypted|password[ -]?protected/i.test(name) && !/ransom|troj|virus|malware/i.test(name)) {
    return new ScannerFailure("encrypted", `ICAP: ${printable(name)}`);
  }
  return printable(name);
}

/** Names come from databases of anybody's making, and stand in SMTP replies. */
function printable(name: string): string {
  return name.replace(/[^\x21-\x7e]+/g, "_").slice(0, 128) || "unnamed";
}

/** Of an ICAP status that is neither 200 nor 201 nor 204. */
export function refusal({ status }: AnswerHead): ScannerFailure {
  if (status === 413) return new ScannerFailure("tooLarge", "ICAP: the service refuses the size (413)");
  if (status === 408) return new ScannerFailure("timeout", "ICAP: the service gave up waiting (408)");
  if (status === 503) return new ScannerFailure("down", "ICAP: the service is overloaded (503)");
  return fault(`the service answered ${status}`);
}

/**
 * Of an answer with an HTTP message in place of ours. A name when it is a page that says no; `undefined` when it is a message like ours,
 * whose body must then be compared. `asked`: what we sent.
 */
export function findBlock({ status }: Inside, asked: "request" | "response"): string | undefined {
  if (status === undefined) {
    if (asked === "request") return undefined;
    throw fault("a request in answer to a response");
  }
  if (status >= 400 && status <= 499) return "blocked";
  if (status === 200 && asked === "response") return undefined;
  throw fault(`an HTTP message with status ${status} in place of ours`);
}
