// Files of parameters in the manner of Postfix Admin, iRedMail, ViMbAdmin, mailcow, Modoboa and Postfix's own manuals: asked by us as they are,
// through the registry, and by the real postmap.
import { spawn } from "node:child_process";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createGuard, createTableRegistry, systemClock, TableUnavailable } from "@postern/core";
import type { OpenTable, TableRegistry } from "@postern/core";
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import ldapTables from "@postern/plugin-maps-ldap";
// oxlint-disable-next-line import/default -- as above
import mysqlTables from "@postern/plugin-maps-mysql";
// oxlint-disable-next-line import/default -- as above
import sqlTables from "@postern/plugin-maps-sql";
import {
  describeUnless,
  describeWith,
  ldifEntry,
  requirePostgresql,
  requirePrograms,
  slapdBase,
  startMariadb,
  startPostgresql,
  startSlapd,
  temporaryFolder,
} from "../services/index.ts";

const folder = temporaryFolder();
const warnings: string[] = [];
let tables: TableRegistry;

beforeAll(() => {
  mkdirSync(join(folder.path, "postfix"));
  writeFileSync(join(folder.path, "postfix", "main.cf"), "compatibility_level = 3.6\nsmtputf8_enable = yes\n");
  const { path: directory } = folder;
  const guard = createGuard(systemClock, () => undefined);
  tables = createTableRegistry({ directory, clock: systemClock, guard, warn: (message) => warnings.push(message) });
  for (const plugin of [mysqlTables, sqlTables, ldapTables]) {
    const { name } = plugin;
    const owner = { name, onError: "defer", deadlineMs: 90_000 } as const;
    const register = (type: string, open: OpenTable, description: string) =>
      tables.register({ type, open, description }, owner);
    // The plugins ask nothing else of their gateway.
    void plugin.setup({ tables: { register } } as never, {});
  }
});
afterAll(async () => {
  await tables.close();
  folder[Symbol.dispose]();
});

const keys = [
  "alice@example.test", "ALICE@Example.Test", "alice@alias.test", "carol@example.test", "nobody@example.test", "nobody@alias.test",
  "bob@off.test", "info@relay.test", "@example.test", "@alias.test", "example.test", "alias.test", "off.test", "relay.test", "other.test",
  "alice", "o'brien@example.test", "a\\'b@example.test", "%@example.test", "_lice@example.test", "staff@example.test", "x' OR '1'='1@example.test", "alice@", "*",
]; // prettier-ignore

/** Both answers for each key: `undefined` for not found, "!" where it could not be asked. */
async function compare(type: string, name: string, text: string): Promise<void> {
  const path = join(folder.path, `${type}-${name.replace(/\W+/g, "-")}.cf`);
  writeFileSync(path, text);
  // Postfix waits until a file is no longer hot.
  utimesSync(path, 1e9, 1e9);
  warnings.length = 0;
  const table = await tables.open(`${type}:${path}`);
  const ours: string[] = [];
  for (const key of keys) {
    try {
      const value = await table.lookup(key);
      if (value !== undefined) ours.push(`${key}\t${value}`);
    } catch (error) {
      if (!(error instanceof TableUnavailable)) throw error;
      ours.push(`${key}: ${error.message}`);
    }
  }
  const theirs = await postmap(`${type}:${path}`);
  expect({ name, answers: ours }).toEqual({ name, answers: theirs.filter((line) => !line.startsWith("postmap:")) });
  expect(theirs.length).toBeGreaterThan(0);
  // What such files have and Postfix does not read is told, and nothing else.
  expect(warnings.filter((warning) => !/unknown parameter "(?:port|search_timeout)"/.test(warning))).toEqual([]);
}

function postmap(spec: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn("postmap", ["-c", join(folder.path, "postfix"), "-q", "-", spec]);
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (piece: string) => (printed += piece));
    child.stderr.setEncoding("utf8").on("data", (piece: string) => (printed += piece));
    child.once("error", reject);
    child.once("close", () => resolve(printed.split("\n").filter((line) => line !== "")));
    child.stdin.end(keys.map((key) => `${key}\n`).join(""));
  });
}

const schema = `
  CREATE TABLE domain (domain VARCHAR(255), transport VARCHAR(255), backupmx INT, active INT);
  CREATE TABLE alias_domain (alias_domain VARCHAR(255), target_domain VARCHAR(255), active INT);
  CREATE TABLE alias (address VARCHAR(255), goto VARCHAR(255), domain VARCHAR(255), active INT);
  CREATE TABLE mailbox (username VARCHAR(255), maildir VARCHAR(255), storagenode VARCHAR(255), domain VARCHAR(255), quota BIGINT, active INT);
  INSERT INTO domain VALUES ('example.test', 'virtual', 0, 1), ('alias.test', 'virtual', 0, 1), ('off.test', 'virtual', 0, 0), ('relay.test', 'smtp:[192.0.2.1]:25', 1, 1);
  INSERT INTO alias_domain VALUES ('alias.test', 'example.test', 1);
  INSERT INTO alias VALUES ('alice@example.test', 'alice@example.test', 'example.test', 1), ('staff@example.test', 'alice@example.test,carol@example.test', 'example.test', 1),
    ('o''brien@example.test', 'alice@example.test', 'example.test', 1), ('@example.test', 'catchall@example.test', 'example.test', 1), ('bob@off.test', 'bob@example.test', 'off.test', 0);
  INSERT INTO mailbox VALUES ('alice@example.test', 'example.test/alice/', 'vmail1', 'example.test', 1024, 1), ('carol@example.test', 'example.test/carol/', 'vmail1', 'example.test', 0, 1),
    ('bob@off.test', 'off.test/bob/', 'vmail1', 'off.test', 0, 0)`;

/** Of these the three databases understand each. */
const everywhere: Readonly<Record<string, string>> = {
  "Postfix's manual": `
#
# The SQL query template used to search, see below.
#
query = SELECT goto FROM alias WHERE address = '%s'
    AND active = 1

# For Postfix releases prior to 2.2.
select_field = forw_addr
table = mxaliases
where_field = alias
additional_conditions = AND status = 'paid'
`,
  "Postfix Admin, domains": `query          = SELECT domain FROM domain WHERE domain='%s' AND active = '1'
#query          = SELECT domain FROM domain WHERE domain='%s'
#optional query to use when relaying for backup MX
#query           = SELECT domain FROM domain WHERE domain='%s' AND backupmx = '0' AND active = '1'
#expansion_limit = 100
`,
  "Postfix Admin, older": "table = alias\nselect_field = goto\nwhere_field = address\nadditional_conditions = and active = '1'\n",
  "Postfix Admin, quota": "query = SELECT quota FROM mailbox WHERE username='%s' AND active = '1'\n",
  "Postfix Admin, boxes": "query = SELECT maildir FROM mailbox WHERE username='%s' AND active = '1'\nresult_format = /var/vmail/%s\n",
  "Postfix Admin, transports": "query = SELECT transport FROM domain WHERE domain='%s' AND active = '1'\n",
  "iRedMail, domains": "port = 3306\nquery = SELECT domain FROM domain WHERE domain='%s' AND backupmx=0 AND active=1 UNION SELECT alias_domain.alias_domain FROM alias_domain,domain WHERE alias_domain.alias_domain='%s' AND alias_domain.active=1 AND alias_domain.target_domain=domain.domain AND domain.active=1 AND domain.backupmx=0\n",
  "iRedMail, catch-all": "query = SELECT alias.goto FROM alias,domain WHERE alias.address='@%d' AND '%u' IS NOT NULL AND alias.domain=domain.domain AND domain.active=1 AND domain.backupmx=0\n",
  "iRedMail, logins": "query = SELECT mailbox.username FROM mailbox,domain WHERE mailbox.username='%s' AND mailbox.domain=domain.domain AND mailbox.active=1 AND domain.active=1\n",
  ViMbAdmin: "query = SELECT goto FROM alias WHERE address = '%s' AND active = '1'\ndomain = example.test, off.test\n",
  Modoboa: "query = SELECT domain FROM domain WHERE domain='%s' AND active=1 UNION SELECT target_domain FROM alias_domain WHERE alias_domain='%s'\n",
  "Modoboa, senders": "query = SELECT username FROM mailbox WHERE username IN ('%s', '%u@example.test') AND domain = '%d' ORDER BY username\n",
  "mailcow, relayed recipients": `# Autogenerated
query = SELECT DISTINCT
  CASE WHEN '%d' IN (
    SELECT domain FROM domain
      WHERE backupmx=1
        AND domain='%d'
  )
  THEN '%s' ELSE (
    SELECT goto FROM alias WHERE address='%s' AND active = '1'
  )
  END AS result;
`,
}; // prettier-ignore

/** With CONCAT(), which SQLite has only of late. */
const withConcat: Readonly<Record<string, string>> = {
  "Postfix Admin, alias domains": "query = SELECT goto FROM alias,alias_domain WHERE alias_domain.alias_domain = '%d' and alias.address = CONCAT('%u', '@', alias_domain.target_domain) AND alias.active = 1 AND alias_domain.active='1'\n",
  "Postfix Admin, catch-all of alias domains": "query  = SELECT goto FROM alias,alias_domain WHERE alias_domain.alias_domain = '%d' and alias.address = CONCAT('@', alias_domain.target_domain) AND alias.active = 1 AND alias_domain.active='1'\n",
  "iRedMail, boxes": "query = SELECT CONCAT(mailbox.storagenode, '/', mailbox.maildir) FROM mailbox,domain WHERE mailbox.username='%s' AND mailbox.active=1 AND mailbox.domain=domain.domain AND domain.active=1\nresult_format = /var/%s\n",
  "mailcow, senders": `query = SELECT goto FROM alias
    WHERE address='%s' AND active='1'
    AND (domain IN (SELECT domain FROM domain WHERE domain='%d' AND active='1'))
  UNION
  SELECT username FROM mailbox, alias_domain
    WHERE alias_domain.alias_domain='%d'
    AND mailbox.username = CONCAT('%u','@',alias_domain.target_domain)
  ORDER BY 1
`,
}; // prettier-ignore

const onlyMysql: Readonly<Record<string, string>> = {
  "mailcow, transports": "query = SELECT GROUP_CONCAT(transport SEPARATOR '') AS transport_maps FROM ( SELECT IF(EXISTS(SELECT 1 FROM alias WHERE address = '%s' AND active = '1'), 'smtp_enforced_tls:', 'smtp:') AS 'transport' UNION ALL SELECT COALESCE((SELECT transport FROM domain WHERE domain = '%d' AND backupmx = '1'), '') AS 'transport') AS transport_view;\n",
  "iRedMail, double quotes": 'query = SELECT CONCAT("%u", "+", `domain`) FROM `domain` WHERE `domain`="%d" AND `active`=1\n',
  "Postfix Admin, LIKE": "query = SELECT goto FROM alias WHERE address LIKE '%s' AND '%u' NOT LIKE '%%\\_%%' ORDER BY goto\n",
  "ViMbAdmin, REGEXP": "query = SELECT address FROM alias WHERE '%s' REGEXP CONCAT('^', REPLACE(address, '.', '[.]'), '$') AND '%s' NOT LIKE '%%*%%'\n",
}; // prettier-ignore

const login = ({ port }: { readonly port: number }) =>
  `user = mail\npassword = secret\nhosts = 127.0.0.1:${port}\ndbname = mail\n`;

describeWith(["mariadbd", "mariadb-install-db", "postmap"], "mysql", () => {
  test("as postmap", async () => {
    const sql = `CREATE DATABASE mail CHARACTER SET utf8mb4; USE mail; ${schema}; CREATE USER mail@'%' IDENTIFIED BY 'secret'; GRANT ALL ON mail.* TO mail@'%';`;
    const server = await startMariadb({ folder: folder.path, sql });
    try {
      for (const [name, text] of Object.entries({ ...everywhere, ...withConcat, ...onlyMysql })) {
        await compare("mysql", name, login(server) + text);
      }
    } finally {
      await server.stop();
    }
  });
});

describeUnless(requirePostgresql() ?? requirePrograms("postmap"), "pgsql", () => {
  test("as postmap", async () => {
    const server = await startPostgresql({ folder: folder.path, sql: schema });
    try {
      const function_ = "select_function = lower\n";
      for (const [name, text] of Object.entries({ ...everywhere, ...withConcat, function_ })) {
        await compare("pgsql", name, login(server) + text);
      }
    } finally {
      await server.stop();
    }
  });
});

describeWith(["postmap"], "sqlite", () => {
  test("as postmap", async () => {
    const dbpath = join(folder.path, "mail.db");
    using database = new DatabaseSync(dbpath);
    database.exec(schema);
    const pipes = Object.entries(withConcat).map(([name, text]) => [
      name,
      text.replace(/CONCAT\(([^)]*)\)/g, (_, list: string) => `(${list.split(",").join("||")})`),
    ]);
    for (const [name, text] of [...Object.entries(everywhere), ...(pipes as [string, string][])]) {
      await compare("sqlite", name, `dbpath = ${dbpath}\n${text}`);
    }
  });
});

const files: Readonly<Record<string, string>> = {
  "Postfix's manual": "query_filter = (mail=%s)\nresult_attribute = maildrop\nsearch_timeout = 5\n",
  "LDAP_README, accounts": "query_filter = (&(objectClass=mailThing)(|(mail=%s)(mailacceptinggeneralid=%s)))\nresult_attribute = maildrop\nversion = 3\n",
  "iRedMail, boxes": "scope = sub\nquery_filter = (&(objectClass=mailThing)(mail=%s)(!(maildrop=gone)))\nresult_attribute= uid\nresult_format = /var/vmail/%s/Maildir/\ndebuglevel = 0\n",
  "iRedMail, groups": "query_filter = (&(objectClass=groupOfNames)(cn=%u)(|(cn=staff)(cn=all)))\nspecial_result_attribute = member\nresult_attribute=\nleaf_result_attribute = mail\n",
  "domains by name": "query_filter = (&(objectClass=mailThing)(mail=*@%s))\nresult_attribute = mail\nresult_format = OK\nscope = one\n",
  "Active Directory": "bind = yes\nquery_filter = (&(|(mail=%s)(mailacceptinggeneralid=smtp:%s))(objectClass=mailThing))\nresult_attribute = mail\nresult_filter = %s/Maildir/\nterminal_result_attribute = description\n",
}; // prettier-ignore

describeWith(["slapd", "postmap"], "ldap", () => {
  test("as postmap", async () => {
    const people = `ou=people,${slapdBase}`;
    const person = (uid: string, more: Record<string, string | string[]>) =>
      ldifEntry(`uid=${uid},${people}`, { objectClass: ["account", "mailThing"], uid, ...more });
    const ldif = [
      ldifEntry(people, { objectClass: "organizationalUnit", ou: "people" }),
      person("alice", { mail: "alice@example.test", maildrop: ["alice@inside.test", "second@inside.test"] }),
      person("carol", {
        mail: "carol@example.test",
        mailacceptinggeneralid: "o'brien@example.test",
        maildrop: "carol",
      }),
      ldifEntry(`cn=staff,${people}`, { objectClass: "groupOfNames", cn: "staff", member: [`uid=alice,${people}`, `uid=carol,${people}`] }), // prettier-ignore
    ].join("");
    const slapd = await startSlapd({ folder: folder.path, ldif });
    try {
      const server = `server_host = ldap://127.0.0.1:${slapd.port}\nsearch_base = ${people}\nbind_dn = ${slapd.adminDn}\nbind_pw = ${slapd.adminPassword}\n`; // prettier-ignore
      for (const [name, text] of Object.entries(files)) {
        await compare("ldap", name, server + (text.includes("version") ? "" : "version = 3\n") + text);
      }
    } finally {
      await slapd.stop();
    }
  });
});
