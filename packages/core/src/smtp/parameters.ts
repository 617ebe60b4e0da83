/** Parameters of MAIL and RCPT (RFC 5321 §4.1.2): SIZE, BODY, SMTPUTF8, and RET, ENVID, NOTIFY, ORCPT of RFC 3461, AUTH of RFC 4954. */
import type { Envelope, NotifyCondition, Recipient } from "../model/index.ts";
import { reply, type Reply } from "../model/index.ts";
import { isXtext } from "../address/xtext.ts";

/** Refused with a reply; nothing of the parameters counts. */
export type ParameterRefusal = { readonly refusal: Reply };

export type MailParameters = Pick<Envelope, "body" | "smtputf8" | "ret" | "envid"> & {
  readonly declaredSizeBytes: number | undefined;
  readonly submitter?: string;
};
/** What AUTH is to MAIL: unknown where nobody logs in, passed over from those who have not, taken at its word from those who have. */
export type AuthParameter = "unknown" | "passed over" | "believed";
export type RcptParameters = Pick<Recipient, "orcpt" | "notify">;

/** `undefined` for a keyword alone. */
type Values = Map<string, string | undefined>;

// RFC 5321 §4.1.2 esmtp-param; the value may be UTF-8 (RFC 6531 §3.3).
const parameter = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\u0021-\u003c\u003e-\u007e\u00a0-\u{10ffff}]+))?$/u;

const malformed = reply(501, "5.5.4", "Malformed parameter");
const duplicate = reply(501, "5.5.4", "Parameter given twice");
const unknown = reply(555, "5.5.4", "Parameter not recognized");

const badSize = reply(501, "5.5.4", "Malformed SIZE");
const tooBig = reply(552, "5.3.4", "Message exceeds the size limit");
const badBody = reply(501, "5.5.4", "BODY is 7BIT or 8BITMIME");
const badUtf8 = reply(501, "5.5.4", "SMTPUTF8 takes no value");
const badRet = reply(501, "5.5.4", "RET is FULL or HDRS");
const badEnvid = reply(501, "5.5.4", "Malformed ENVID");
const badAuth = reply(501, "5.5.4", "Malformed AUTH");
const badNotify = reply(501, "5.5.4", "NOTIFY is NEVER, or some of SUCCESS, FAILURE, DELAY");
const badOrcpt = reply(501, "5.5.4", "Malformed ORCPT");

/** RFC 3461 §4.4: 100 characters; §4.2: 500. Both as received. */
const longestEnvid = 100;
const longestOrcpt = 500;

const noMailParameters: MailParameters = Object.freeze({
  body: "7bit",
  smtputf8: false,
  declaredSizeBytes: undefined,
});
const noRcptParameters: RcptParameters = Object.freeze({});

export function isRefused(parameters: object): parameters is ParameterRefusal {
  return "refusal" in parameters;
}

/** `text` is what follows the path. */
export function parseMailParameters(
  text: string,
  sizeLimitBytes: number,
  auth: AuthParameter = "unknown",
): MailParameters | ParameterRefusal {
  if (text === "") return noMailParameters;
  const values = split(text, auth === "unknown" ? mailKeywords : mailKeywordsWithAuth);
  if ("refusal" in values) return values;
  const size = values.get("SIZE");
  if (values.has("SIZE") && (size === undefined || !/^\d{1,20}$/.test(size))) return { refusal: badSize };
  const declaredSizeBytes = size === undefined ? undefined : Number(size);
  if (declaredSizeBytes !== undefined && declaredSizeBytes > sizeLimitBytes) return { refusal: tooBig };
  const body = values.has("BODY") ? (values.get("BODY") ?? "").toLowerCase() : "7bit";
  if (body !== "7bit" && body !== "8bitmime") return { refusal: badBody };
  if (values.get("SMTPUTF8") !== undefined) return { refusal: badUtf8 };
  const ret = values.has("RET") ? (values.get("RET") ?? "").toLowerCase() : undefined;
  if (ret !== undefined && ret !== "full" && ret !== "hdrs") return { refusal: badRet };
  const envid = values.get("ENVID");
  if (values.has("ENVID") && (envid === undefined || envid.length > longestEnvid || !isXtext(envid))) {
    return { refusal: badEnvid };
  }
  const submitter = values.get("AUTH");
  if (values.has("AUTH") && !isSubmitter(submitter)) return { refusal: badAuth };
  return {
    body,
    smtputf8: values.has("SMTPUTF8"),
    declaredSizeBytes,
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
    ...(submitter === undefined || auth !== "believed" ? {} : { submitter }),
  };
}

export function parseRcptParameters(text: string): RcptParameters | ParameterRefusal {
  if (text === "") return noRcptParameters;
  const values = split(text, rcptKeywords);
  if ("refusal" in values) return values;
  const notify = values.has("NOTIFY") ? parseNotify(values.get("NOTIFY") ?? "") : undefined;
  if (values.has("NOTIFY") && notify === undefined) return { refusal: badNotify };
  const orcpt = values.get("ORCPT");
  if (values.has("ORCPT") && (orcpt === undefined || !isOrcpt(orcpt))) return { refusal: badOrcpt };
  return { ...(notify === undefined ? {} : { notify }), ...(orcpt === undefined ? {} : { orcpt }) };
}

const mailKeywords: ReadonlySet<string> = new Set(["SIZE", "BODY", "SMTPUTF8", "RET", "ENVID"]);
const mailKeywordsWithAuth: ReadonlySet<string> = new Set([...mailKeywords, "AUTH"]);
const rcptKeywords: ReadonlySet<string> = new Set(["NOTIFY", "ORCPT"]);

function split(text: string, known: ReadonlySet<string>): Values | ParameterRefusal {
  const values: Values = new Map();
  for (const word of text.split(" ")) {
    if (word === "") continue;
    const match = parameter.exec(word);
    if (match === null) return { refusal: malformed };
    const keyword = (match[1] ?? "").toUpperCase();
    if (!known.has(keyword)) return { refusal: unknown };
    if (values.has(keyword)) return { refusal: duplicate };
    values.set(keyword, match[2]);
  }
  return values;
}

/** `<>`, or an address as xtext. */
function isSubmitter(value: string | undefined): boolean {
  return value !== undefined && value.length <= longestOrcpt && (value === "<>" || isXtext(value));
}

const conditions: ReadonlySet<string> = new Set(["success", "failure", "delay"]);

function parseNotify(text: string): readonly NotifyCondition[] | undefined {
  const wanted = text.toLowerCase().split(",");
  if (wanted.length === 1 && wanted[0] === "never") return ["never"];
  if (!wanted.every((condition) => conditions.has(condition))) return undefined;
  return [...new Set(wanted)] as NotifyCondition[];
}

/** RFC 3461 §4.2: `addr-type ";" xtext`; RFC 6533 allows UTF-8 in a `utf-8` address. */
function isOrcpt(text: string): boolean {
  if (text.length > longestOrcpt) return false;
  const match = /^([A-Za-z0-9][A-Za-z0-9-]*);(.+)$/u.exec(text);
  if (match === null) return false;
  const [, type = "", address = ""] = match;
  return isXtext(address) || (type.toLowerCase() === "utf-8" && !/[\u0000- \u007f-\u009f]/.test(address));
}
