/** LDAP URLs (RFC 4516), of servers and as values that point to entries. They are read as OpenLDAP's library reads them. */

export type UrlScope = "base" | "one" | "sub" | "children";

export interface LdapUrl {
  readonly scheme: "ldap" | "ldaps" | "ldapi";
  /** Without brackets; the path of the socket for ldapi; "" when none is given. */
  readonly host: string;
  readonly port: number | undefined;
  readonly base: string;
  /** Empty: all. */
  readonly attributes: readonly string[];
  readonly scope: UrlScope;
  readonly filter: string;
}

const prefix = /^<?(?:url:)?(ldap[si]?):\/\//i;

const scopes: ReadonlyMap<string, UrlScope> = new Map([
  ["", "base"],
  ["base", "base"],
  ["one", "one"],
  ["onetree", "one"],
  ["sub", "sub"],
  ["subtree", "sub"],
  ["subord", "children"],
  ["subordinate", "children"],
  ["children", "children"],
]);

export function isLdapUrl(text: string): boolean {
  return prefix.test(text);
}

/** Throws `SyntaxError`. */
export function parseLdapUrl(text: string): LdapUrl {
  const [start = "", scheme = ""] = prefix.exec(text) ?? [];
  if (start === "") throw new SyntaxError("no LDAP URL");
  let rest = text.slice(start.length);
  if (start.startsWith("<")) {
    if (!rest.endsWith(">")) throw new SyntaxError('">" is missing at the end');
    rest = rest.slice(0, -1);
  }
  const slash = rest.indexOf("/");
  const authority = slash < 0 ? (rest.split("?")[0] ?? "") : rest.slice(0, slash);
  const parts = slash < 0 ? [] : rest.slice(slash + 1).split("?");
  if (parts.length > 5) throw new SyntaxError("too many question marks");
  const [base = "", attributes = "", scopeWord = "", filter = "", extensions] = parts;
  const scope = scopes.get(decode(scopeWord).toLowerCase());
  if (scope === undefined) throw new SyntaxError(`unknown scope "${scopeWord}"`);
  if (extensions === "" || extensions?.split(",").some((extension) => extension.startsWith("!")) === true) {
    throw new SyntaxError("wrong or critical extension");
  }
  return {
    ...readAuthority(scheme.toLowerCase() as LdapUrl["scheme"], authority),
    base: decode(base),
    attributes: decode(attributes)
      .split(",")
      .filter((name) => name !== ""),
    scope,
    filter: filter === "" ? "(objectClass=*)" : decode(filter),
  };
}

function readAuthority(scheme: LdapUrl["scheme"], text: string): Pick<LdapUrl, "scheme" | "host" | "port"> {
  if (scheme === "ldapi") return { scheme, host: decode(text.replace(/:\d*$/, "")), port: undefined };
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? undefined : Number(digits);
  if (host === undefined || (port !== undefined && port > 65_535)) throw new SyntaxError(`wrong host "${text}"`);
  return { scheme, host: decode(host), port };
}

function decode(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new SyntaxError("wrong percent encoding");
  }
}
