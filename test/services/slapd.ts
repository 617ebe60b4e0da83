// OpenLDAP's slapd with an mdb database of its own, on TCP (with StartTLS), TLS and a unix socket.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificate } from "./certificate.ts";
import { freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

export interface SlapdOptions {
  /** Its data go into a folder below this one; starting again there with the same ports resumes them. */
  readonly folder: string;
  /** Name of that folder: "slapd". */
  readonly name?: string;
  readonly port?: number;
  readonly tlsPort?: number;
  /** Names of the server's certificate, beside 127.0.0.1: localhost. */
  readonly names?: readonly [string, ...string[]];
  /** Entries in LDIF, loaded offline the first time; `dc=example,dc=test` itself is there already. */
  readonly ldif?: string;
  /** More lines for the database in slapd.conf: `limits`, `access`. They stand before those that let everybody read. */
  readonly lines?: readonly string[];
  /** More lines before the database: `idletimeout 1`. */
  readonly globals?: readonly string[];
}

export interface Slapd extends Service {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** ldaps:// */
  readonly tlsPort: number;
  /** The unix socket. */
  readonly socket: string;
  /** ldapi:// with the socket's path. */
  readonly socketUrl: string;
  readonly base: typeof slapdBase;
  readonly adminDn: string;
  readonly adminPassword: string;
  /** PEM file of the authority; the server's certificate is its own authority. */
  readonly authority: string;
}

export const slapdBase = "dc=example,dc=test";

/** Attributes of mail that no common schema has. `members` holds names or URLs, `mailMember` addresses. */
const schema = `
attributetype ( 1.3.6.1.4.1.32473.1.1 NAME 'mailacceptinggeneralid' EQUALITY caseIgnoreMatch
  SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.2 NAME 'maildrop' EQUALITY caseExactMatch
  SUBSTR caseExactSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.3 NAME 'mailMember' EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.4 NAME 'members' EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.5 NAME 'mailHost2' EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.6 NAME 'mailBlob' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectclass ( 1.3.6.1.4.1.32473.2.1 NAME 'mailThing' SUP top AUXILIARY
  MAY ( mailacceptinggeneralid $ maildrop $ mailMember $ members $ mailHost2 $ mailBlob $ mail ) )
`;

const schemaFolder = "/etc/ldap/schema";
const moduleFolder = "/usr/lib/ldap";

export async function startSlapd(options: SlapdOptions): Promise<Slapd> {
  const home = join(options.folder, options.name ?? "slapd");
  const data = join(home, "data");
  const socket = join(home, "ldapi");
  const config = join(home, "slapd.conf");
  const port = options.port ?? (await freePort());
  const tlsPort = options.tlsPort ?? (await freePort());
  const adminDn = `cn=admin,${slapdBase}`;
  const adminPassword = "secret";
  mkdirSync(data, { recursive: true });
  const [cert, key] = ["tls.pem", "tls.key"].map((name) => join(home, name)) as [string, string];
  if (!existsSync(cert)) makeCertificate(home, options.names ?? ["localhost"]);
  writeFileSync(join(home, "mail.schema"), schema);
  const lines = [
    ...["core", "cosine", "inetorgperson"].map((name) => `include ${schemaFolder}/${name}.schema`),
    `include ${home}/mail.schema`,
    `modulepath ${moduleFolder}`,
    "moduleload back_mdb",
    `pidfile ${home}/slapd.pid`,
    `TLSCertificateFile ${cert}`,
    `TLSCertificateKeyFile ${key}`,
    "threads 4",
    "sizelimit 2000",
    "sasl-secprops none",
    // The user of the socket's other end has a name in the directory.
    `authz-regexp "gidNumber=[^,]*,cn=peercred,cn=external,cn=auth" "uid=peer,${slapdBase}"`,
    ...(options.globals ?? []),
    "database mdb",
    "maxsize 268435456",
    `suffix "${slapdBase}"`,
    `rootdn "${adminDn}"`,
    `rootpw ${adminPassword}`,
    `directory ${data}`,
    "dbnosync",
    "index objectClass,mail,mailacceptinggeneralid eq",
    ...(options.lines ?? []),
    "access to attrs=userPassword by anonymous auth by * none",
    "access to * by * read",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  if (readdirSync(data).length === 0) seed(home, config, options.ldif ?? "");
  const socketUrl = `ldapi://${encodeURIComponent(socket)}`;
  const urls = `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort} ${socketUrl}`;
  // `-d 0` keeps it in the foreground.
  const service = await startService(programPath("slapd"), ["-f", config, "-h", urls, "-d", "0"], {
    logFile: join(home, "slapd.log"),
    ready: async () => {
      for (const url of [`ldap://127.0.0.1:${port}`, socketUrl]) {
        execFileSync(programPath("ldapsearch"), ["-x", "-LLL", "-H", url, "-b", "", "-s", "base", "1.1"], {
          stdio: "ignore",
          timeout: 30_000,
        });
      }
    },
  });
  return {
    ...service,
    host: "127.0.0.1",
    port,
    tlsPort,
    socket,
    socketUrl,
    base: slapdBase,
    adminDn,
    adminPassword,
    authority: cert,
  };
}

function seed(home: string, config: string, ldif: string): void {
  const file = join(home, "seed.ldif");
  const root = `dn: ${slapdBase}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n`;
  writeFileSync(file, `${root}\n${ldif}`);
  execFileSync(programPath("slapadd"), ["-q", "-f", config, "-l", file], { stdio: ["ignore", "ignore", "pipe"] });
}

/** Attributes of one entry; each may have several values. */
export type LdifAttributes = Readonly<Record<string, string | readonly string[] | Buffer>>;

/** One entry in LDIF (RFC 2849), values in base64, so that they may hold anything. */
export function ldifEntry(dn: string, attributes: LdifAttributes): string {
  const lines = Object.entries(attributes).flatMap(([name, values]) =>
    [values].flat().map((value) => `${name}:: ${Buffer.from(value as string).toString("base64")}`),
  );
  return `dn:: ${Buffer.from(dn).toString("base64")}\n${lines.join("\n")}\n\n`;
}
