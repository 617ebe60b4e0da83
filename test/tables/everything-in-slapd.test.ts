// The whole of a gateway's knowledge in an LDAP directory, and what becomes of mail when it dies, hangs and comes back.
import { execFileSync } from "node:child_process";
import { run } from "../e2e/run.ts";
import { freePort } from "../services/ports.ts";
import { programPath } from "../services/programs.ts";
import { ldifEntry, slapdBase, startSlapd } from "../services/slapd.ts";
import { tellEverything } from "./everything.ts";
import { tableNames, type Database, type TableName, type World } from "./everything-world.ts";

const password = "Gehe1m-und-lang";
const reader = `uid=postern,${slapdBase}`;
const unit = (name: TableName): string => `ou=${name},${slapdBase}`;

/** One unit for each table, one entry for each key. */
const contents = (world: World): string =>
  [
    ldifEntry(reader, { objectClass: ["account", "simpleSecurityObject"], uid: "postern", userPassword: password }),
    ...tableNames.flatMap((name) => [
      ldifEntry(unit(name), { objectClass: "organizationalUnit", ou: name }),
      ...Object.entries(world[name]).map(([key, values], index) =>
        ldifEntry(`uid=${index},${unit(name)}`, {
          objectClass: ["account", "mailThing"],
          uid: String(index),
          mailacceptinggeneralid: key,
          maildrop: values,
        }),
      ),
    ]),
  ].join("");

/** Half of the tables stand in files as Postfix reads them, half in the config. */
async function prepare(folder: string, world: World): Promise<Database> {
  const [port, tlsPort] = [await freePort(), await freePort()];
  const login = { server_host: `ldap://127.0.0.1:${port}`, bind_dn: reader, bind_pw: password, timeout: "2" };
  const parameters = (name: TableName) => ({
    ...login,
    search_base: unit(name),
    query_filter: "(&(objectClass=mailThing)(mailacceptinggeneralid=%s))",
    result_attribute: "maildrop",
  });
  const cf = (given: Readonly<Record<string, string>>) =>
    Object.entries(given)
      .map(([key, value]) => `${key} = ${value}\n`)
      .join("");
  const byParts = { ...parameters("aliases"), query_filter: "(mailacceptinggeneralid=%u@%d)" };
  // With the right to everything.
  const tool = (program: string, args: readonly string[]) =>
    execFileSync(
      programPath(program),
      ["-x", "-H", `ldap://127.0.0.1:${port}`, "-D", `cn=admin,${slapdBase}`, "-w", "secret", ...args],
      { encoding: "utf8" },
    );
  return {
    specs: {
      relays: "ldap:./relays.cf",
      people: "proxy:ldap:./people.cf",
      boxDomains: { type: "ldap", ...parameters("boxDomains") },
      boxes: { type: "ldap", ...parameters("boxes") },
      aliasDomains: { type: "ldap", ...parameters("aliasDomains") },
      aliases: "ldap:./aliases.cf",
      routes: "ldap:./routes.cf",
      senders: { type: "ldap", deadline: "3s", ...parameters("senders") },
    },
    files: {
      "relays.cf": cf(parameters("relays")),
      "people.cf": cf(parameters("people")),
      "aliases.cf": cf(byParts),
      "routes.cf": cf(parameters("routes")),
    },
    password,
    secrets: [password, String(port), slapdBase, folder],
    // Nobody reads it without a name.
    start: () =>
      startSlapd({
        folder,
        port,
        tlsPort,
        ldif: contents(world),
        lines: [
          `access to attrs=userPassword by anonymous auth by * none`,
          `access to * by dn.exact="${reader}" read by * none`,
        ],
      }),
    dump: () => tool("ldapsearch", ["-LLL", "-b", slapdBase]),
    hide: (name) => void tool("ldapmodrdn", ["-r", unit(name), `ou=${name}-hidden`]),
    show: (name) => void tool("ldapmodrdn", ["-r", `ou=${name}-hidden,${slapdBase}`, `ou=${name}`]),
  };
}

const pythonSend = `
import smtplib, sys
port, sender, recipients, file = sys.argv[1:]
with smtplib.SMTP("127.0.0.1", int(port), local_hostname="client.source.test") as smtp:
    smtp.sendmail(sender, recipients.split(","), open(file, "rb").read(), mail_options=["BODY=8BITMIME"])
`;

tellEverything({
  name: "everything in slapd",
  needs: ["slapd", "ldapsearch", "ldapmodrdn", "openssl", "python3"],
  type: "ldap",
  prepare,
  send: (port, sender, recipients, file) =>
    run("python3", ["-c", pythonSend, String(port), sender, recipients.join(), file]),
});
