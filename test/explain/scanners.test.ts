// Scanners as an operator sees them: servers that are not there, told of at the start; a message put off because of one, found again by `why`; what those
// that let it pass say, under their plugin's name; and who chose a content filter.
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { runCommand } from "postern";
import { expect, onTestFinished, test } from "vitest";
import { hand } from "../e2e/dialogue.ts";
import { startGateway } from "../e2e/gateway.ts";
import { until } from "../e2e/until.ts";
import { freePort } from "../services/ports.ts";
import { folder, plain } from "./world.ts";

async function postern(args: readonly string[], cwd: string): Promise<string> {
  let out = "";
  const output = { write: (text: string) => void (out += text), warn: () => undefined };
  await runCommand(args, { cwd, output });
  return out;
}

const { listeners: _, ...shared } = plain;
const mail = "Subject: hello\r\n\r\nhello\r\n";

test("servers that are not there are told of once at the start; who put a message off is found by its id", async () => {
  const heard: string[] = [];
  const rspamd = createHttpServer((request, response) => {
    heard.push(`${request.method ?? ""} ${request.url ?? ""}`);
    if (request.url === "/ping") return void response.end("pong\r\n");
    response.end(JSON.stringify({ action: "no action", score: 0, required_score: 5, symbols: {} }));
  }).listen(0, "127.0.0.1");
  const spamd = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      heard.push(data.toString("latin1").split("\r\n", 1)[0] ?? "");
      socket.end("SPAMD/1.5 0 PONG\r\n");
    });
  }).listen(0, "127.0.0.1");
  const servers = [rspamd, spamd];
  onTestFinished(() => servers.forEach((server) => server.close()));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;
  const dead = await freePort();
  const alive = `http://127.0.0.1:${portOf(rspamd)}`;
  await using gateway = await startGateway({
    config: {
      ...shared,
      plugins: [
        ...plain.plugins,
        ["@postern/plugin-av-clamd", { address: `tcp:127.0.0.1:${dead}`, onError: "defer" }],
        ["@postern/plugin-rspamd", { address: [`http://127.0.0.1:${dead}`, alive], onError: "skip" }],
        ["@postern/plugin-spamassassin", { as: "sa", address: `127.0.0.1:${portOf(spamd)}`, onError: "skip" }],
        ["@postern/plugin-spamassassin", { as: "sa-far", address: `127.0.0.1:${dead}`, onError: "skip" }],
        ["@postern/plugin-icap", { address: `icap://127.0.0.1:${dead}/avscan`, onError: { down: "skip" } }],
      ],
    },
    port: await freePort(),
  });
  const warnings = (): readonly string[] =>
    gateway
      .log()
      .split("\n")
      .filter((line) => line.includes("reached"));
  await until(() => warnings().length >= 4 && heard.length >= 2);
  const refused = `connect ECONNREFUSED 127\\.0\\.0\\.1:${dead}`;
  expect(warnings().toSorted()).toEqual(
    [
      `plugin av-clamd: clamd at tcp:127\\.0\\.0\\.1:${dead} cannot be reached \\(clamd cannot be asked: ${refused}\\): until it can, mail fares as onError says`,
      `plugin icap: ICAP at icap://127\\.0\\.0\\.1:${dead}/avscan cannot be reached \\(ICAP: ${refused}\\): until it can, mail fares as onError says`,
      `plugin rspamd: rspamd at http://127\\.0\\.0\\.1:${dead} cannot be reached \\(cannot be asked: ${refused}\\)`,
      `plugin sa-far: spamd at 127\\.0\\.0\\.1:${dead} cannot be reached \\(${refused}\\): until it can, mail fares as onError says`,
    ].map((text) => expect.stringMatching(new RegExp(`^warning: ${text}$`))),
  );
  expect(heard.toSorted()).toEqual(["GET /ping", "PING SPAMC/1.2"]);

  expect(await hand(gateway.port, { to: "user@example.test", content: mail })).toBe(
    "451 4.3.0 Temporary failure, try again later",
  );
  await until(() => gateway.log().includes(": reject: "));
  const [, id = "", decision = ""] = /(\w+): reject: END-OF-MESSAGE .* d=(\w+) /.exec(gateway.log()) ?? [];
  for (const one of [id, decision]) {
    const told = await postern(["why", one, "--log", "gateway.log"], gateway.folder);
    expect(told.split("\n")).toEqual(
      expect.arrayContaining([
        "decided by  av-clamd of plugin av-clamd, by its onError",
        `failed      scanner av-clamd gave no answer (down): clamd cannot be asked: connect ECONNREFUSED 127.0.0.1:${dead}`,
      ]),
    );
  }
  expect(warnings()).toHaveLength(4);
});

test("what a scanner says of mail that it lets pass stands under its plugin's name", async () => {
  const dead = await freePort();
  await using gateway = await startGateway({
    config: {
      ...shared,
      plugins: [
        ...plain.plugins,
        ["@postern/plugin-rspamd", { as: "spam", address: `http://127.0.0.1:${dead}`, onError: "skip" }],
      ],
    },
    port: await freePort(),
  });
  expect(await hand(gateway.port, { to: "user@example.test", content: mail })).toMatch(/^250 /);
  await until(() => gateway.log().includes("taken unscanned"));
  expect(gateway.log()).toMatch(
    /\n(\w+): info: END-OF-MESSAGE from \S+: spam gave no verdict \(down\), taken unscanned; .* by=scanners path=<scanners> word=<spam> plugin=<spam> failure=down error=<rspamd at /,
  );
});

test.each<[who: string, plugins: readonly unknown[], policy: object, why: string]>([
  [
    "a handover",
    [["@postern/plugin-filter", { contentFilter: "smtp:[192.0.2.7]:10025" }]],
    {},
    "content filter of plugin filter: smtp:[192.0.2.7]:10025",
  ],
  [
    "a word",
    [],
    { rcpt: ["permit_mynetworks", "check_recipient_access texthash:./filters", "reject_unauth_destination"] },
    "FILTER of policy.rcpt[1]: smtp:[192.0.2.7]:10025",
  ],
  [
    "a scanner",
    [["@postern/plugin-checks", { as: "mine", headerChecks: ["regexp:./checks"], onError: "defer" }]],
    {},
    "FILTER of scanner mine, plugin mine: smtp:[192.0.2.7]:10025",
  ],
])("explain names who chose the content filter: %s", async (_, plugins, policy, why) => {
  const cwd = folder({
    "postern.config.json": JSON.stringify({
      ...plain,
      plugins: [...plain.plugins, ...plugins],
      policy: { ...plain.policy, ...policy },
    }),
    filters: "user@example.test FILTER smtp:[192.0.2.7]:10025\n",
    checks: "/^Subject:/ FILTER smtp:[192.0.2.7]:10025\n",
    "mail.eml": mail,
  });
  const args = ["--client", "192.0.2.1=c.test", "--from", "a@b.test", "--to", "user@example.test"];
  const told = await postern(["explain", ...args, "--message", "mail.eml", "--json"], cwd);
  expect(JSON.parse(told)).toMatchObject({ routes: [{ route: { transport: "smtp" }, why }] });
});

test.each(["delete", "release"])("quarantine %s guesses no filter for an option that there is not", async (name) => {
  for (const option of ["--form", "--form=x", "--fro", "--subjetc"]) {
    await expect(postern(["quarantine", name, "--all", option, "x"], folder())).rejects.toThrow(
      new RegExp(`^unknown option '${option.split("=", 1)[0] ?? ""}\\S*'$`),
    );
  }
  await expect(postern(["quarantine", "delete", "--for", "x"], folder())).rejects.toThrow(/^unknown option '--for'$/);
  await expect(postern(["quarantine", "list", "--form", "x"], folder())).rejects.toThrow(/did you mean --from\?/);
});
