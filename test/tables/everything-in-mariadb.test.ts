// The whole of a gateway's knowledge in MariaDB, and what becomes of mail when it dies, hangs and comes back.
import { run } from "../e2e/run.ts";
import { startMariadb, type Mariadb } from "../services/mariadb.ts";
import { freePort } from "../services/ports.ts";
import { tellEverything } from "./everything.ts";
import { tableNames, type Database, type TableName, type World } from "./everything-world.ts";

const password = "Gehe1m-und-lang";
const columns = "(name VARCHAR(254), value VARCHAR(254), INDEX (name)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
const quote = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;

const schema = (world: World): string =>
  [
    "CREATE DATABASE mail; USE mail;",
    ...tableNames.flatMap((name) => [
      `CREATE TABLE ${name} ${columns};`,
      ...Object.entries(world[name]).flatMap(([key, values]) =>
        values.map((value) => `INSERT INTO ${name} VALUES (${quote(key)}, ${quote(value)});`),
      ),
    ]),
    `CREATE USER postern@'%' IDENTIFIED BY '${password}'; GRANT ALL ON mail.* TO postern@'%';`,
  ].join("\n");

/** Half of the tables stand in files as Postfix reads them, half in the config. */
async function prepare(folder: string, world: World): Promise<Database> {
  const port = await freePort();
  let server: Mariadb | undefined;
  const login = { hosts: `127.0.0.1:${port}`, user: "postern", password, dbname: "mail", query_timeout: "2s" };
  const parameters = (name: TableName, query = `SELECT value FROM ${name} WHERE name = '%s'`) => ({ ...login, query });
  const byParts = parameters("aliases", "SELECT value FROM aliases WHERE name = CONCAT('%u', '@', '%d')");
  const cf = (given: Readonly<Record<string, string>>) =>
    Object.entries(given)
      .map(([key, value]) => `${key} = ${value}\n`)
      .join("");
  return {
    specs: {
      relays: "mysql:./relays.cf",
      people: "proxy:mysql:./people.cf",
      boxDomains: { type: "mysql", ...parameters("boxDomains") },
      boxes: { type: "mysql", ...parameters("boxes") },
      aliasDomains: { type: "mysql", ...parameters("aliasDomains") },
      aliases: "mysql:./aliases.cf",
      routes: "mysql:./routes.cf",
      senders: { type: "mysql", deadline: "3s", ...parameters("senders") },
    },
    files: {
      "relays.cf": cf(parameters("relays")),
      "people.cf": cf(parameters("people")),
      "aliases.cf": cf(byParts),
      "routes.cf": cf(parameters("routes")),
    },
    password,
    secrets: [password, String(port), "postern@", folder],
    hide: (name) => void server?.query(`RENAME TABLE ${name} TO ${name}_hidden`, "mail"),
    show: (name) => void server?.query(`RENAME TABLE ${name}_hidden TO ${name}`, "mail"),
    start: async () => (server = await startMariadb({ folder, port, sql: schema(world) })),
    dump: () => server?.query(tableNames.map((name) => `SELECT * FROM ${name} ORDER BY 1, 2;`).join(""), "mail") ?? "",
  };
}

tellEverything({
  name: "everything in MariaDB",
  needs: ["mariadbd", "mariadb-install-db", "swaks"],
  type: "mysql",
  prepare,
  send: (port, sender, recipients, file) =>
    run("swaks", [
      "--server",
      `127.0.0.1:${port}`,
      "-f",
      sender,
      "-t",
      recipients.join(),
      "-d",
      `@${file}`,
      "--suppress-data",
    ]),
});
