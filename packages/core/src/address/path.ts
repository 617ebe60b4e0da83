/** Reverse-path and forward-path of MAIL and RCPT (RFC 5321 §4.1.2). */
import { canonicalDomain, isAscii } from "./domain.ts";
import { addressFault, type AddressFault } from "./fault.ts";
import { formatMailbox, isSenderSpecifiedRouting, parseMailbox, type Mailbox, type MailboxOptions } from "./mailbox.ts";

export interface PathOptions extends MailboxOptions {
  /** `<>`, the null sender of MAIL. Default false. */
  readonly allowNull?: boolean;
  /** `<postmaster>` without a domain, for RCPT (RFC 5321 §2.3.5). Default false. */
  readonly allowPostmaster?: boolean;
}

export interface Path extends Mailbox {
  readonly ok: true;
  /** For `null` local part and domain are empty, for `postmaster` the domain. */
  readonly kind: "mailbox" | "null" | "postmaster";
  /** Canonical `local@domain`; empty for the null path, the word itself for `postmaster`. The source route is not in it. */
  readonly address: string;
  /** Hosts of a source route `@a,@b:user@c`, which RFC 5321 §4.1.1.3 has us ignore or refuse but never follow. */
  readonly route: readonly string[];
  /** There is a source route, or the local part carries a second destination. */
  readonly senderSpecifiedRouting: boolean;
}

const none: readonly string[] = Object.freeze([]);
const nullPath: Path = Object.freeze({
  ok: true,
  kind: "null",
  localPart: "",
  domain: "",
  address: "",
  route: none,
  senderSpecifiedRouting: false,
});

/**
 * Takes the path off the argument of MAIL FROM: or RCPT TO:, `<"a>b"@example.test> SIZE=100`. `path` is the text between the
 * brackets, `rest` what follows, without the blanks between. Blanks before the path are tolerated, as everywhere.
 */
export function takePath(
  argument: string,
): { readonly ok: true; readonly path: string; readonly rest: string } | AddressFault {
  let start = 0;
  while (argument[start] === " ") start++;
  if (argument[start] !== "<") return addressFault("brackets");
  const end = closingBracket(argument, start + 1);
  if (end < 0) return addressFault("brackets");
  let next = end + 1;
  if (next < argument.length && argument[next] !== " ") return addressFault("brackets");
  while (argument[next] === " ") next++;
  return { ok: true, path: argument.slice(start + 1, end), rest: argument.slice(next) };
}

function closingBracket(text: string, start: number): number {
  const simple = text.indexOf(">", start);
  const quote = text.indexOf('"', start);
  if (quote < 0 || simple < quote) return simple;
  let quoted = false;
  for (let at = start; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') quoted = !quoted;
    else if (character === "\\" && quoted) at++;
    else if (character === ">" && !quoted) return at;
  }
  return -1;
}

/** Reads the text between the brackets. */
export function parsePath(text: string, options: PathOptions = {}): Path | AddressFault {
  if (text === "") return options.allowNull === true ? nullPath : addressFault("empty");
  if (options.allowPostmaster === true && text.toLowerCase() === "postmaster") {
    return { ...nullPath, kind: "postmaster", localPart: text, address: text };
  }
  let route = none;
  let rest = text;
  if (text.startsWith("@")) {
    const taken = takeRoute(text);
    if (taken === undefined) return addressFault("route");
    if (options.smtputf8 !== true && !isAscii(text)) return addressFault("nonAscii");
    ({ route, rest } = taken);
  }
  const mailbox = parseMailbox(rest, options);
  if (!mailbox.ok) return mailbox;
  const { localPart, domain } = mailbox;
  return {
    ok: true,
    kind: "mailbox",
    localPart,
    domain,
    address: formatMailbox(mailbox),
    route,
    senderSpecifiedRouting: route.length > 0 || isSenderSpecifiedRouting(`${localPart}@${domain}`),
  };
}

/** A path is 256 octets at most, so a route has no more hosts than this. */
const longestRoute = 256;

/** A-d-l (RFC 5321 §4.1.2): `@a,@b:`. */
function takeRoute(text: string): { route: readonly string[]; rest: string } | undefined {
  if (text.length > longestRoute * 2) return undefined;
  const route: string[] = [];
  let at = 0;
  while (text[at] === "@") {
    const start = ++at;
    // An IPv6 literal has colons inside.
    if (text[at] === "[") at = Math.max(text.indexOf("]", at), at);
    while (at < text.length && text[at] !== "," && text[at] !== ":") at++;
    const host = canonicalDomain(text.slice(start, at));
    if (host === undefined) return undefined;
    route.push(host);
    if (text[at] === ":") return { route, rest: text.slice(at + 1) };
    at++;
  }
  return undefined;
}
