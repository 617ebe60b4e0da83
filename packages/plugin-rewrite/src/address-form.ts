/** Addresses in the form in which tables know them (trivial-rewrite(8), the rewriting of RFC 822's odd forms to `user@domain`). Pure. */
import { canonicalAddress } from "@postern/core";

export interface FormOptions {
  /** For addresses without a domain; `undefined`: they stay. */
  readonly origin: string | undefined;
  /** For domains without a dot. */
  readonly domain?: string | undefined;
  readonly swapBangpath?: boolean;
  readonly percentHack?: boolean;
}

/** Of senders and of what tables say: longer ones than RFC 5321's are seen. */
export const anyAddress = { smtputf8: true, maxLocalPartOctets: 320 } as const;

/** Nearly every address there is, whose form is this. */
const settled = /^[a-z0-9_=+-]+(?:\.[a-z0-9_=+-]+)*@[a-z0-9-]+(?:\.[a-z0-9-]+)+$/i;

/** Canonical; without a domain only when there is no origin. `undefined` for what is no address. */
export function formOf(written: string, options: FormOptions): string | undefined {
  if (settled.test(written)) return canonicalAddress(written, anyAddress);
  const text = withoutRoute(written);
  if (text === "" || text === "@" || text === '""') return undefined;
  const whole = domainAt(text) < 0 ? withDomain(text, options) : text;
  const at = domainAt(whole);
  if (at < 0) return bareForm(whole);
  const name = whole.slice(at + 1);
  const { domain } = options;
  const full =
    domain !== undefined && name !== "" && !name.includes(".") && !name.startsWith("[") ? `${whole}.${domain}` : whole;
  return canonicalAddress(/[^.@]\.$/.test(full) ? full.slice(0, -1) : full, anyAddress);
}

/** `@a,@b:user@c` is `user@c`. */
function withoutRoute(text: string): string {
  if (!text.startsWith("@")) return text;
  const colon = text.indexOf(":");
  return colon < 0 || colon === text.length - 1 ? text : text.slice(colon + 1);
}

/** The `@` before the domain; -1 when there is none. */
function domainAt(text: string): number {
  const at = text.lastIndexOf("@");
  // Within a quoted local part it is no such sign.
  return text.endsWith('"') || text.indexOf('"', at) > at ? -1 : at;
}

function withDomain(text: string, { origin, swapBangpath, percentHack }: FormOptions): string {
  const quoted = text.startsWith('"');
  const bang = swapBangpath === true && !quoted ? text.indexOf("!") : -1;
  if (bang > 0 && bang < text.length - 1) return `${text.slice(bang + 1)}@${text.slice(0, bang)}`;
  const percent = percentHack === true && !quoted ? text.lastIndexOf("%") : -1;
  if (percent > 0) return `${text.slice(0, percent)}@${text.slice(percent + 1)}`;
  return origin === undefined ? text : `${text}@${origin}`;
}

function bareForm(text: string): string | undefined {
  const known = canonicalAddress(`${text}@origin.invalid`, anyAddress);
  return known?.slice(0, -"@origin.invalid".length);
}
