/** One word of `hosts`: `host`, `inet:host:port`, `unix:/folder`, `postgresql://user:password@host:port/dbname?sslmode=…`. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/** libpq's word → how the certificate is looked at. `prefer` and `allow` are plain here: TLS that any attacker can turn off. */
export const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
export type SslMode = (typeof sslModes)[number];

/** TLS as libpq names it; the files are PEM. */
export interface SslSettings {
  readonly sslmode: SslMode;
  readonly sslrootcert: string | undefined;
  readonly sslcert: string | undefined;
  readonly sslkey: string | undefined;
}

export interface Login {
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly ssl: SslSettings;
}

export interface PostgresHost {
  /** Without user and password, for the log. */
  readonly text: string;
  readonly unix: boolean;
  /** A name, an address, or the folder of the unix socket. */
  readonly host: string;
  readonly port: number;
  readonly login: Login;
}

const defaultPort = 5432;
/** Where Debian's libpq looks for the socket when no name is given. */
const defaultSocketFolder = "/var/run/postgresql";

/** `login` is the table's; a URI stands before it. Throws an `Error` with what is wrong, without the word itself. */
export function parseHost(word: string, login: Login): PostgresHost {
  if (/^postgres(?:ql)?:\/\//.test(word)) return parseUri(word, login);
  const rest = word.replace(/^(?:unix|inet):/, "");
  // The whole is the folder; another port than the usual one needs a URI.
  if (rest.startsWith("/")) return compose(rest, undefined, login);
  const [, bracketed, plain = rest, digits] = /^(?:\[(.*)\]|([^[\]]*?))(?::(\d*))?$/.exec(rest) ?? [];
  return compose(bracketed ?? plain, digits, login);
}

function compose(name: string, digits: string | undefined, login: Login): PostgresHost {
  const port = digits === undefined || digits === "" ? defaultPort : Number(digits);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error(`"${digits}" is no port`);
  const host = name === "" ? defaultSocketFolder : name;
  return { text: `${host}:${port}`, unix: host.startsWith("/"), host, port, login };
}

const noHost = "_";
const known = ["host", "port", "user", "password", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"];
/** Nothing that changes an answer. */
const harmless = ["application_name", "fallback_application_name", "connect_timeout", "client_encoding"];

function parseUri(word: string, login: Login): PostgresHost {
  let uri: URL;
  try {
    // libpq takes a user without a host, URL does not.
    uri = new URL(word.replace(/^([a-z]+:\/\/[^/?@]*@)(?=[/?]|$)/, `$1${noHost}`));
  } catch {
    throw new Error("a URI with one host is postgresql://user:password@host:port/dbname");
  }
  const query = uri.searchParams;
  for (const name of query.keys()) {
    if (!known.includes(name) && !harmless.includes(name)) throw new Error(`"${name}" of the URI is not supported`);
  }
  const part = (name: string, written: string): string | undefined =>
    query.get(name) ?? (written === "" ? undefined : decodeURIComponent(written));
  const sslmode = query.get("sslmode") ?? login.ssl.sslmode;
  if (!isSslMode(sslmode)) throw new Error(`sslmode is one of ${sslModes.join(", ")}`);
  const host = part("host", uri.hostname === noHost ? "" : uri.hostname.replace(/^\[|\]$/g, "")) ?? "";
  return compose(host, part("port", uri.port), {
    user: part("user", uri.username) ?? login.user,
    password: part("password", uri.password) ?? login.password,
    database: part("dbname", uri.pathname.slice(1)) ?? login.database,
    ssl: {
      sslmode,
      sslrootcert: query.get("sslrootcert") ?? login.ssl.sslrootcert,
      sslcert: query.get("sslcert") ?? login.ssl.sslcert,
      sslkey: query.get("sslkey") ?? login.ssl.sslkey,
    },
  });
}

export function isSslMode(word: string): word is SslMode {
  return (sslModes as readonly string[]).includes(word);
}

/** What node's TLS is told, `false` for none. Throws when a file cannot be read. As in libpq, `require` with a root looks at it. */
export function readTls({ sslmode, sslrootcert, sslcert, sslkey }: SslSettings, directory: string): false | object {
  if (sslmode === "disable" || sslmode === "allow" || sslmode === "prefer") return false;
  const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(resolve(directory, file)));
  return {
    ca: read(sslrootcert),
    cert: read(sslcert),
    key: read(sslkey),
    rejectUnauthorized: sslmode !== "require" || sslrootcert !== undefined,
    ...(sslmode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  };
}
