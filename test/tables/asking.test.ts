// A gateway whose domains, recipients, aliases, routes and own clients all stand in tables, end to end; and one whose tables are down.
import { symlinkSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hand } from "../e2e/dialogue.ts";
import { command, repository, startGateway, type GatewayProcess } from "../e2e/gateway.ts";
import { sender, trickyMessage, withoutTrace } from "../e2e/mail.ts";
import { run } from "../e2e/run.ts";
import { until } from "../e2e/until.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { waitForMail } from "../services/maildir.ts";
import { startSmtpSink, type SmtpSink } from "../services/smtp-sink.ts";

const plugins = [
  "@postern/plugin-access",
  "@postern/plugin-transport-smtp",
  ["@postern/plugin-transport-maildir", { directory: "./mail" }],
  ["@postern/plugin-rewrite", { virtual: ["texthash:./aliases", "texthash:./more-aliases"] }],
] as const;
const domains = {
  relay: "texthash:./relay-domains",
  virtualMailbox: { domains: ["box.test"], recipients: "texthash:./boxes" },
  virtualAlias: ["./alias-domains"],
};
const tables = (port: number): Readonly<Record<string, string>> => ({
  networks: "# our own\n127.0.0.1 ours\n",
  "relay-domains": "relay.test  # whatever stands here\nclosed.test x\ncloser.test x\n",
  boxes: "joe@box.test x\nann@box.test x\n",
  "alias-domains": "# one a line, or several\nalias.test, other-alias.test\n",
  aliases: "team@alias.test joe@box.test,\n  ann@box.test, out@relay.test\n@other-alias.test @box.test\n",
  "more-aliases": "gone@alias.test any@closed.test\ndeep@alias.test team@alias.test\nteam@alias.test nobody@box.test\n",
  routes: [
    `relay.test relay:[127.0.0.1]:1, [127.0.0.1]:${port}`,
    `.relay.test smtp:[127.0.0.1]:${port}`,
    "closed.test error:5.7.1 Closed for good",
    // As without the table: the wildcard stands for every domain, our own too.
    "box.test :",
    `* smtp:[127.0.0.1]:${port}`,
  ].join("\n"),
});
/** Not in `networks`. */
const stranger = "127.0.0.2";

describeWith(["smtp-sink"], "everything in tables", () => {
  const folder = temporaryFolder();
  let sink: SmtpSink;
  let gateway: GatewayProcess;
  const maildir = (user: string): string => join(gateway.folder, "mail/box.test", user);

  beforeAll(async () => {
    sink = await startSmtpSink({ folder: folder.path, keep: true });
    gateway = await startGateway({
      config: {
        networks: "texthash:./networks",
        domains,
        plugins,
        recipientDelimiter: "+",
        routes: ["texthash:./routes"],
        policy: { rcpt: ["permit_mynetworks", "reject_unauth_destination"] },
      },
      files: tables(sink.port),
    });
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await sink.stop();
    folder[Symbol.dispose]();
  });

  it.each<[from: string, to: string, reply: RegExp]>([
    [stranger, "who@box.test", /^550 5\.1\.1 .*User unknown in virtual mailbox table/],
    [stranger, "who@alias.test", /^550 5\.1\.1 .*User unknown in virtual alias table/],
    [stranger, "joe@sub.box.test", /^554 5\.7\.1 .*Relay access denied/],
    [stranger, "victim@victim.test", /^554 5\.7\.1 .*Relay access denied/],
    [stranger, "team%victim.test@alias.test", /^554 5\.7\.1 .*Relay access denied/],
    [stranger, "any@relay.test", /^250 /],
    [stranger, "any@sub.relay.test", /^250 /],
    ["127.0.0.1", "any@elsewhere.test", /^250 /],
    [stranger, "any@closed.test", /^550 5\.7\.1 <any@closed\.test>: Recipient address rejected: Closed for good$/],
    ["127.0.0.1", "any@closed.test", /^550 5\.7\.1 /],
  ])("from %s to %s", async (localAddress, to, reply) => {
    expect(await hand(gateway.port, { localAddress, to })).toMatch(reply);
  });

  it("an alias of an alias arrives everywhere, unchanged, once", async () => {
    const content = trickyMessage("to the team", "deep@alias.test");
    const to = ["deep+ext@alias.test", "team@alias.test"];
    expect(await hand(gateway.port, { localAddress: stranger, to, content })).toMatch(/^250 /);
    const [joe] = await waitForMail(maildir("joe"));
    await waitForMail(maildir("ann"));
    const raw = joe?.raw ?? Buffer.alloc(0);
    expect(withoutTrace(raw).toString("latin1")).toBe(content.toString("latin1"));
    expect(raw.toString("latin1")).toMatch(/^X-Original-To: .*@alias\.test\r?$/m);
    await until(() => sink.messages().some((message) => /^X-Rcpt-Args: <out(?:\+ext)?@relay\.test>/m.test(message)));
    const copies = sink.messages().filter((message) => message.includes("to the team"));
    expect(copies.flatMap((message) => message.match(/^X-Rcpt-Args: <out@relay\.test>/gm) ?? [])).toHaveLength(1);
  });

  it("an alias that leads to a closed route bounces to a sender who is an alias of a catch-all", async () => {
    const from = "ann@other-alias.test";
    const before = (await waitForMail(maildir("ann"))).length;
    expect(await hand(gateway.port, { from, to: "gone@alias.test" })).toMatch(/^250 /);
    const mails = await waitForMail(maildir("ann"), before + 1);
    const report = mails.map(({ raw }) => raw.toString("latin1")).find((text) => text.includes("delivery-status"));
    expect(report).toMatch(/^To: <ann@other-alias\.test>/m);
    expect(report).toMatch(/^Status: 5\.7\.1/m);
    expect(report).toMatch(/Closed for good/);
  });
});

describe("tables that are down", () => {
  it.each<[name: string, config: Readonly<Record<string, unknown>>, replies: Readonly<Record<string, RegExp>>]>([
    [
      "relay domains",
      { domains: { ...domains, relay: ["known.test", "fail:down"] } },
      {
        "any@known.test": /^250 /,
        "joe@box.test": /^250 /,
        "any@sub.known.test": /^250 /,
        "victim@victim.test": /^451 4\.3\.0 /,
      },
    ],
    [
      "recipients",
      { domains: { ...domains, virtualMailbox: { domains: ["box.test"], recipients: "fail:down" } } },
      { "joe@box.test": /^451 4\.3\.0 /, "any@relay.test": /^250 /, "victim@victim.test": /^554 5\.7\.1 / },
    ],
    [
      "our own clients",
      { networks: ["192.0.2.1", "fail:down"] },
      { "victim@victim.test": /^451 4\.3\.0 /, "any@relay.test": /^451 4\.3\.0 / },
    ],
    [
      "aliases",
      { plugins: [...plugins.slice(0, 3), ["@postern/plugin-rewrite", { virtual: "fail:down" }]] },
      {
        "team@alias.test": /^451 4\.3\.0 /,
        "joe@box.test": /^451 4\.3\.0 /,
        "victim@victim.test": /^554 5\.7\.1 /,
      },
    ],
  ])("%s", async (_name, config, replies) => {
    await using gateway = await startGateway({
      config: { networks: [], domains, plugins, ...config },
      files: tables(1),
    });
    const said: Record<string, string> = {};
    for (const to of Object.keys(replies)) said[to] = await hand(gateway.port, { localAddress: stranger, to });
    expect(said).toEqual(
      Object.fromEntries(Object.entries(replies).map(([to, reply]) => [to, expect.stringMatching(reply)])),
    );
  });

  it("routes", async () => {
    await using gateway = await startGateway({ config: { domains, plugins, routes: "fail:down" }, files: tables(1) });
    expect(await hand(gateway.port, { from: sender, to: "any@relay.test" })).toMatch(/^451 4\.3\.0 /);
    // Where the alias leads is found out after the mail is taken: it waits.
    expect(await hand(gateway.port, { from: sender, to: "team@alias.test" })).toMatch(/^250 /);
    await until(() => gateway.log().includes("cannot be routed"));
    expect(gateway.log()).not.toMatch(/status=(?:bounced|sent)/);
  });
});

describe("postern check", () => {
  it.each<[config: Readonly<Record<string, unknown>>, file: string, text: string, message: string]>([
    [
      { routes: "texthash:./file" },
      "file",
      "a.test smtp:\nb.test smpt:x\n",
      'line 2, key "b.test": no plugin brings the transport "smpt"; did you mean "smtp"?',
    ],
    [{ domains: { relay: ["./file"] } }, "file", "a.test\nb..test\n", 'line 2: "b..test" is no domain'],
    [{ networks: "./file" }, "file", "10.0.0.1/8\n", 'line 1: "10.0.0.1/8" has bits set beyond its prefix'],
    [
      { plugins: [["@postern/plugin-rewrite", { virtual: "texthash:./file" }], ...plugins.slice(0, 3)] },
      "file",
      "a@a.test b@@\n",
      'line 1, key "a@a.test": "b@@" is no address',
    ],
  ])("%j", async (config, file, text, message) => {
    using folder = temporaryFolder();
    symlinkSync(join(repository, "node_modules"), join(folder.path, "node_modules"));
    await writeFile(join(folder.path, file), text);
    const whole = {
      hostname: "mx.example.test",
      listeners: [{ host: "127.0.0.1", port: 1 }],
      queue: { directory: "./queue" },
      plugins: plugins.slice(0, 3),
      ...config,
    };
    await writeFile(join(folder.path, "postern.config.json"), JSON.stringify(whole), { mode: 0o600 });
    const args = ["--conditions=@postern/source", command, "check", "--config", "postern.config.json"];
    const ended = await run(process.execPath, args, { cwd: folder.path });
    expect(ended.stderr).toContain(`${folder.path}/file, ${message}`);
    expect(ended.status).not.toBe(0);
  });
});
