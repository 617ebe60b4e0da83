// A gateway that has nothing of its own: domains, recipients, aliases, routes and senders stand in a database, which is the only
// thing that differs between one run of these stories and another. What is told of outages is told for every database.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TableSpec } from "@postern/core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sample } from "../sampling.ts";
import { dial, hand, type Dialogue } from "../e2e/dialogue.ts";
import { startGateway, type Config, type GatewayProcess } from "../e2e/gateway.ts";
import { trickyMessage, withoutTrace } from "../e2e/mail.ts";
import type { Ended } from "../e2e/run.ts";
import { until } from "../e2e/until.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { readMaildir, waitForMail } from "../services/maildir.ts";
import { freePort } from "../services/ports.ts";
import { startPostfixRelay } from "../services/postfix.ts";
import type { Service } from "../services/service.ts";
import { startSmtpSink, type SmtpSink } from "../services/smtp-sink.ts";
import { runSmtpSource } from "../services/smtp-source.ts";

/** What stands in the database: for each table its keys, and for each key its values. */
export type World = Readonly<Record<TableName, Readonly<Record<string, readonly string[]>>>>;
export type TableName = (typeof tableNames)[number];
export const tableNames = [
  "relays",
  "people",
  "boxDomains",
  "boxes",
  "aliasDomains",
  "aliases",
  "routes",
  "senders",
] as const;

export interface Database {
  readonly specs: Readonly<Record<TableName, TableSpec>>;
  /** Files beside the config. */
  readonly files: Readonly<Record<string, string>>;
  readonly password: string;
  /** What no peer may be told. */
  readonly secrets: readonly string[];
  /** With an empty folder with the world in it; again with what was there, at the same place. */
  start(): Promise<Service>;
  /** Everything in it, to be compared. */
  dump(): string;
  /** The server lives, but does not have this table. */
  hide(table: TableName): void;
  /** It has it again. */
  show(table: TableName): void;
}

export interface EverythingOptions {
  readonly name: string;
  readonly needs: readonly string[];
  /** Of its tables. */
  readonly type: string;
  readonly prepare: (folder: string, world: World) => Promise<Database>;
  /** A client that others wrote. */
  readonly send: (port: number, sender: string, recipients: readonly string[], file: string) => Promise<Ended>;
}

/** In `networks`; loopback is else a stranger. */
const ours = "127.0.0.9";
const stranger = "127.0.0.2";
const own = "joe@home.test";
const team = "team@alias.test";

const yes = ["x"];
const describeWorld = (a: number, b: number, late: number): World => ({
  relays: { "corp.test": yes, "partner.test": yes, "late.test": yes },
  people: {
    "ann@corp.test": yes,
    "bob@partner.test": yes,
    "carl@sub.corp.test": yes,
    "eve@late.test": yes,
    "old@corp.test": yes,
    // Names that a careless query or filter would not survive.
    "o'hara@corp.test": yes,
    '"back\\\\slash (and) *"@corp.test': yes,
  },
  boxDomains: { "box.test": yes },
  boxes: { "joe@box.test": yes },
  aliasDomains: { "alias.test": yes },
  aliases: {
    [team]: ["ann@corp.test", "bob@partner.test", "joe@box.test"],
    "all@alias.test": [team, "carl@sub.corp.test"],
  },
  routes: {
    "corp.test": [`smtp:[127.0.0.1]:${a}`],
    ".corp.test": [`smtp:[127.0.0.1]:${b}`],
    "partner.test": [`relay:[127.0.0.1]:${b}`],
    "late.test": [`smtp:[127.0.0.1]:${late}`],
    "old@corp.test": ["error:5.1.6 Has moved"],
  },
  senders: { "spam.test": ["REJECT Not from there"] },
});

const configOf = (specs: Database["specs"], more: Config = {}): Config => ({
  networks: [ours],
  // What stands here needs no database: its people have aliases and routes in files.
  domains: {
    local: ["home.test"],
    relay: { domains: specs.relays, recipients: specs.people },
    virtualMailbox: { domains: specs.boxDomains, recipients: specs.boxes },
    virtualAlias: specs.aliasDomains,
  },
  plugins: [
    "@postern/plugin-access",
    "@postern/plugin-transport-smtp",
    ["@postern/plugin-transport-maildir", { directory: "./mail" }],
    ["@postern/plugin-rewrite", { virtualAliases: [{ [own]: own }, specs.aliases] }],
  ],
  routes: [{ [own]: ":" }, specs.routes],
  policy: {
    mail: [
      ["check_sender_access", { "friend.test": "OK" }],
      ["check_sender_access", specs.senders],
    ],
  },
  queue: { directory: "./queue", minBackoff: "1s", maxBackoff: "2s" },
  ...more,
});

/** What the words of any database, or of what lies below it, look like. */
const innards =
  /select|search_?base|filter|econn|errno|password|bind|127\.0\.0\.\d+:\d|\/tmp|mysql|ldap|maria|\bsql|\bat .*:\d+:\d+/i;

export function tellEverything({ name, needs, type, prepare, send }: EverythingOptions): void {
  describeWith([...needs, "root", "smtp-sink", "smtp-source", "postfix"], name, () => {
    const folder = temporaryFolder();
    const replies: string[] = [];
    let a: SmtpSink;
    let b: SmtpSink;
    let latePort: number;
    let database: Database;
    let running: Service;
    let gateway: GatewayProcess;

    beforeAll(async () => {
      const [first, second, home] = ["a", "b", "gateway"].map((part) => folderIn(folder.path, part)) as [
        string,
        string,
        string,
      ];
      [a, b, latePort] = await Promise.all([
        startSmtpSink({ folder: first, keep: true }),
        startSmtpSink({ folder: second, keep: true }),
        freePort(),
      ]);
      database = await prepare(folder.path, describeWorld(a.port, b.port, latePort));
      running = await database.start();
      gateway = await startGateway({ folder: home, config: configOf(database.specs), files: database.files });
    });
    afterAll(async () => {
      await gateway[Symbol.asyncDispose]();
      await Promise.all([running.stop(), a.stop(), b.stop()]);
      folder[Symbol.dispose]();
    });

    const box = () => join(gateway.folder, "mail/box.test/joe");
    const home = () => join(gateway.folder, "mail/home.test/joe");
    const restart = async () => void (running = await database.start());
    /** The recipients of the copies with this subject that each place has. */
    const places = (subject: string) => {
      const line = new RegExp(`^Subject: ${subject}\\r?$`, "m");
      const taken = (sink: SmtpSink) =>
        sink
          .messages()
          .flatMap((text) => (line.test(text) ? recipientsOf(text) : []))
          .toSorted();
      return {
        a: taken(a),
        b: taken(b),
        box: readMaildir(box()).filter(({ raw }) => line.test(raw.toString("latin1"))).length,
      };
    };
    const arrives = async (subject: string, where: ReturnType<typeof places>) => {
      await until(() => JSON.stringify(places(subject)) === JSON.stringify(where)).catch(() => undefined);
      expect(places(subject)).toEqual(where);
    };
    const noted = (reply: string): string => (replies.push(reply), reply);
    const say = async (session: Dialogue, line: string) => noted(await session.say(line));
    const handOver = async (message: Parameters<typeof hand>[1]) => noted(await hand(gateway.port, message));
    /** A session of a stranger's that has said MAIL. */
    const begin = async (from = "sender@source.test", localAddress = stranger): Promise<Dialogue> => {
      const session = await dial(gateway.port, { localAddress });
      for (const line of ["EHLO client.source.test", `MAIL FROM:<${from}>`]) {
        expect(await say(session, line)).toMatch(/^250/);
      }
      return session;
    };
    const wellAgain = () =>
      until(async () => {
        using session = await begin();
        const said = await say(session, "RCPT TO:<ann@corp.test>");
        expect(said).toMatch(/^(?:250|451) /);
        return said.startsWith("250");
      });

    it("one message to an alias reaches each member by the transport of its domain, and a subdomain its own", async () => {
      const content = trickyMessage("from another's client", "all@alias.test");
      const file = join(folder.path, "message");
      // swaks puts a line end of its own behind what it reads, smtplib where there is none.
      writeFileSync(file, content.subarray(0, -2));
      const sent = await send(gateway.port, "sender@source.test", ["all@alias.test"], file);
      expect(sent).toMatchObject({ status: 0 });
      await arrives("from another's client", {
        a: ["ann@corp.test"],
        b: ["bob@partner.test", "carl@sub.corp.test"],
        box: 1,
      });
      const [mail] = readMaildir(box());
      expect(withoutTrace(mail?.raw ?? Buffer.alloc(0)).toString("latin1")).toBe(content.toString("latin1"));
    });

    const refusals: readonly [from: string, to: string, reply: RegExp][] = [
      ["", "nobody@corp.test", /^550 5\.1\.1 .*User unknown in relay recipient table/],
      ["", "ann@sub.corp.test", /^550 5\.1\.1 .*User unknown in relay recipient table/],
      ["", "nobody@box.test", /^550 5\.1\.1 .*User unknown in virtual mailbox table/],
      ["", "nobody@alias.test", /^550 5\.1\.1 .*User unknown in virtual alias table/],
      ["", "old@corp.test", /^550 5\.1\.6 .*Has moved$/],
      ["", "victim@victim.test", /^554 5\.7\.1 .*Relay access denied/],
      ["", "joe@sub.box.test", /^554 5\.7\.1 .*Relay access denied/],
      [
        "any@mail.spam.test",
        "ann@corp.test",
        /^554 5\.7\.1 <any@mail\.spam\.test>: Sender address rejected: Not from there$/,
      ],
      ["", "carl@sub.corp.test", /^250 /],
      ["", "ANN@Corp.Test", /^250 /],
      ["", "o'hara@corp.test", /^250 /],
      ["", '"back\\\\slash (and) *"@corp.test', /^250 /],
    ];
    it.each(refusals)("from <%s> to <%s>", async (from, to, reply) => {
      using session = await begin(from);
      expect(await say(session, `RCPT TO:<${to}>`)).toMatch(reply);
    });

    it("no query, no filter and no wildcard in an address is one", async () => {
      const before = database.dump();
      const parts = [
        `"' OR '1'='1"`, `'or'1'='1`, `'or''='`, `"x' UNION SELECT 'OK' -- "`, `"'; DROP TABLE people; -- "`, `"\\\\' OR 1=1 -- "`,
        `"') OR ('1'='1"`, `"\u00bf' OR 1=1 -- "`, "*", "a*", "*n*", `"*)(uid=*"`, `"*)(|(objectClass=*)"`, `"ann)(objectClass=*"`, `"\\\\2a"`,
        `"a\\\\00"`, "_nn", "an_", `"%"`, "$1", `"\${1}"`, "ann#", `"ann' -- "`, `"ann' #"`, `"ann'/*"`,
      ]; // prettier-ignore
      const wrong: string[] = [];
      for (const part of parts) {
        const utf8 = Buffer.from(part).toString("latin1");
        for (const domain of ["corp.test", "sub.corp.test", "box.test", "alias.test", "victim.test"]) {
          using session = await dial(gateway.port, { localAddress: stranger });
          await say(session, "EHLO client.source.test");
          // As a sender it is like any other: not from spam.test, so nothing speaks against it.
          const mail = await say(session, `MAIL FROM:<${utf8}@source.test> SMTPUTF8`);
          const friend = await say(session, "RCPT TO:<ann@corp.test>");
          const said = await say(session, `RCPT TO:<${utf8}@${domain}>`);
          const right = domain === "victim.test" ? /^55[0-9] 5\.7\.1 / : /^55[0-9] 5\.(?:1\.1|7\.1) /;
          if (!mail.startsWith("250") || !friend.startsWith("250") || !right.test(said)) {
            wrong.push(`${part}@${domain}: ${mail} / ${friend} / ${said}`);
          }
        }
      }
      expect(wrong).toEqual([]);
      expect(database.dump()).toBe(before);
    });

    it.each<[table: TableName, putOff: readonly string[], answered: readonly string[]]>([
      ["relays", ["ann@corp.test", "victim@victim.test"], ["joe@box.test", team]],
      ["people", ["ann@corp.test", "nobody@corp.test"], ["joe@box.test", "victim@victim.test"]],
      ["boxDomains", ["joe@box.test", "ann@corp.test", "victim@victim.test"], [team]],
      ["boxes", ["joe@box.test", "nobody@box.test"], ["ann@corp.test", "victim@victim.test"]],
      ["aliasDomains", [team, "joe@box.test", "ann@corp.test", "victim@victim.test"], []],
      ["aliases", [team, "nobody@corp.test"], ["ann@corp.test", "joe@box.test", "victim@victim.test"]],
      ["routes", ["ann@corp.test", "joe@box.test"], ["victim@victim.test"]],
    ])(
      "the server lives without %s: who needs it is put off, the others are not, and the log names it",
      async (table, putOff, answered) => {
        await wellAgain();
        const before = gateway.log().length;
        database.hide(table);
        try {
          using session = await begin("a@friend.test");
          expect(await say(session, `RCPT TO:<${own}>`)).toMatch(/^250 /);
          for (const to of putOff) expect(await say(session, `RCPT TO:<${to}>`), to).toMatch(/^451 4\.3\.0 /);
          for (const to of answered) {
            expect(await say(session, `RCPT TO:<${to}>`), to).toMatch(
              to.includes("victim") ? /^554 5\.7\.1 / : /^250 /,
            );
          }
        } finally {
          database.show(table);
        }
        const { [table]: spec } = database.specs;
        const named = typeof spec === "string" ? spec.replace("proxy:", "") : type;
        expect(gateway.log().slice(before)).toMatch(
          new RegExp(`^warning: .*\\b${named.replaceAll(".", "\\.")}\\b`, "m"),
        );
      },
    );

    it("killed between two recipients: the second is put off, and taken in the same session later", async () => {
      using session = await begin();
      expect(await say(session, "RCPT TO:<ann@corp.test>")).toMatch(/^250 /);
      await running.kill();
      for (const to of ["bob@partner.test", "nobody@corp.test", team, "victim@victim.test"]) {
        expect(await say(session, `RCPT TO:<${to}>`)).toMatch(/^451 4\.3\.0 /);
      }
      // Not even those who may send anywhere: whose it is cannot be told.
      expect(await handOver({ localAddress: ours, from: "a@friend.test", to: "victim@victim.test" })).toMatch(
        /^451 4\.3\.0 /,
      );
      await restart();
      await until(async () => (await say(session, "RCPT TO:<bob@partner.test>")).startsWith("250"));
      expect(noted(await session.data("Subject: two recipients\r\n\r\ntext\r\n"))).toMatch(/^250 /);
      await arrives("two recipients", { a: ["ann@corp.test"], b: ["bob@partner.test"], box: 0 });
    });

    it.each(["before DATA", "in the middle of the content"])(
      "killed %s: who has aliases is put off, whole, and nothing of it arrives until it is sent again",
      async (moment) => {
        const subject = `killed ${moment}`;
        using session = await begin();
        expect(await say(session, `RCPT TO:<${team}>`)).toMatch(/^250 /);
        const isLate = moment !== "before DATA";
        if (!isLate) await running.kill();
        expect(await say(session, "DATA")).toMatch(/^354 /);
        session.write(`Subject: ${subject}\r\n\r\n`);
        if (isLate) await running.kill();
        session.write("text\r\n.\r\n");
        expect(noted(await session.reply())).toMatch(/^451 4\.3\.0 /);
        await restart();
        await until(async () => {
          const said = await handOver({
            localAddress: stranger,
            to: team,
            content: `Subject: ${subject}\r\n\r\ntext\r\n`,
          });
          expect(said).toMatch(/^(?:250|451) /);
          return said.startsWith("250");
        });
        await arrives(subject, { a: ["ann@corp.test"], b: ["bob@partner.test"], box: 1 });
      },
    );

    it("what is in the queue when it dies waits for it, and the sender of what waits too long learns nothing about it", async () => {
      const subject = "waits for its route";
      const content = `Subject: ${subject}\r\n\r\ntext\r\n`;
      await using hasty = await startGateway({
        config: configOf(database.specs, {
          queue: { directory: "./queue", minBackoff: "1s", maxBackoff: "1s", lifetime: "3s" },
        }),
        files: database.files,
      });
      expect(await handOver({ localAddress: stranger, from: own, to: "eve@late.test", content })).toMatch(/^250 /);
      expect(await hand(hasty.port, { localAddress: stranger, from: own, to: "eve@late.test", content })).toMatch(
        /^250 /,
      );
      await running.kill();
      await until(() => gateway.log().includes("cannot be routed"));
      // The report's own way is written in files.
      const [report] = await waitForMail(join(hasty.folder, "mail/home.test/joe"));
      const text = report?.raw.toString("latin1") ?? "";
      expect(text).toMatch(/^Status: 4\.4\.7/m);
      expect(text).toMatch(/temporary failure in routing/);
      expect(withoutTrace(Buffer.from(text)).toString("latin1")).not.toMatch(innards);
      // It starts without its database too, and goes on waiting.
      await gateway.stop();
      const unrouted = count(gateway.log(), /cannot be routed/g);
      const { folder: kept, port } = gateway;
      gateway = await startGateway({ folder: kept, port, config: configOf(database.specs), files: database.files });
      expect(await handOver({ localAddress: stranger, to: "ann@corp.test" })).toMatch(/^451 4\.3\.0 /);
      await until(() => count(gateway.log(), /cannot be routed/g) > unrouted);
      await using late = await startSmtpSink({ folder: folderIn(folder.path, "late"), port: latePort, keep: true });
      await restart();
      await until(() => late.messages().some((message) => message.includes(`Subject: ${subject}`)));
      expect(
        late
          .messages()
          .filter((message) => message.includes(subject))
          .flatMap(recipientsOf),
      ).toEqual(["eve@late.test"]);
      expect(gateway.log()).not.toMatch(/status=bounced/);
    });

    it("stopped: who needs it is put off in the end, who does not is served meanwhile; going on, it is asked again", async () => {
      await wellAgain();
      await running.pause();
      const order: string[] = [];
      using waiting = await begin("a@friend.test");
      const putOff = say(waiting, "RCPT TO:<ann@corp.test>").then((said) => (order.push("put off"), said));
      const before = readMaildir(home()).length;
      expect(await handOver({ localAddress: stranger, from: "a@friend.test", to: own })).toMatch(/^250 /);
      await waitForMail(home(), before + 1);
      order.push("served");
      expect(await putOff).toMatch(/^451 4\.3\.0 /);
      expect(order).toEqual(["served", "put off"]);
      running.resume();
      await wellAgain();
      expect(await handOver({ localAddress: stranger, to: team, content: "Subject: goes on\r\n\r\ntext\r\n" })).toMatch(
        /^250 /,
      );
      await arrives("goes on", { a: ["ann@corp.test"], b: ["bob@partner.test"], box: 1 });
    });

    it("killed and started again under load: all that a relay was given arrives, and nobody is turned away or let in by it", async () => {
      const messages = sample(200, 3000);
      await using relay = await startPostfixRelay({
        folder: folder.path,
        relayhost: `[127.0.0.1]:${gateway.port}`,
        main: {
          myhostname: "relay.source.test",
          smtp_tls_security_level: "none",
          minimal_backoff_time: "1s",
          maximal_backoff_time: "2s",
          queue_run_delay: "1s",
        },
      });
      const prober = new Prober(gateway.port);
      const seen = (sink: SmtpSink) => new Set(sink.messages().flatMap(loadIds));
      const boxed = () => new Set(readMaildir(box()).flatMap(({ raw }) => loadIds(raw.toString("latin1"))));
      const start = b.count();
      const sending = runSmtpSource({
        port: relay.port,
        messages,
        sessions: 10,
        recipient: team,
        args: ["-S", "load"],
      });
      await until(() => b.count() > start + messages / 10);
      await running.kill();
      await prober.fails(5);
      await until(() => /status=deferred .*451 4\.3\.0/.test(relay.mailLog()));
      await restart();
      await prober.goOn(5);
      await running.pause();
      await prober.fails(2);
      running.resume();
      expect(await sending).toMatchObject({ status: 0, errors: "" });
      await until(() => relay.queueIds().length === 0, 30_000);
      await until(() => [seen(a), seen(b), boxed()].every(({ size }) => size === messages));
      await prober.goOn(20);
      replies.push(...prober.replies);
      expect(await prober.end()).toEqual([]);
      expect(relay.mailLog()).not.toMatch(/status=bounced/);
    });

    it("no peer was told anything about it, and no password stands in the log", () => {
      const failures = replies.filter((reply) => reply.startsWith("4"));
      expect(failures.length).toBeGreaterThan(20);
      expect(new Set(failures)).toEqual(
        new Set(["451 4.3.0 Temporary lookup failure", "451 4.3.0 Temporary failure, try again later"]),
      );
      expect(replies.filter((reply) => database.secrets.some((secret) => reply.includes(secret)))).toEqual([]);
      expect(gateway.log().includes(database.password)).toBe(false);
    });
  });
}

/** Asks all the while, from one address that nobody knows, for those who exist, who do not, and who are none of ours. */
class Prober {
  readonly replies: string[] = [];
  #answered = 0;
  #putOff = 0;
  #over = false;
  readonly #wrong: string[] = [];
  readonly #work: Promise<unknown>;

  constructor(port: number) {
    const right: Readonly<Record<string, RegExp>> = {
      "ann@corp.test": /^250 /,
      "joe@box.test": /^250 /,
      [team]: /^250 /,
      "nobody@corp.test": /^550 5\.1\.1 /,
      "nobody@alias.test": /^550 5\.1\.1 /,
      "victim@victim.test": /^554 5\.7\.1 /,
    };
    const ask = async (start: number) => {
      for (let round = start; !this.#over; round += 1) {
        using session = await dial(port, { localAddress: stranger });
        await session.say("EHLO prober.source.test");
        await session.say("MAIL FROM:<a@friend.test>");
        for (const [to, reply] of Object.entries(right)) {
          const said = await session.say(`RCPT TO:<${to}>`);
          this.replies.push(said);
          if (said.startsWith("451 4.3.0 ")) this.#putOff += 1;
          else if (reply.test(said)) this.#answered += 1;
          else this.#wrong.push(`${to}: ${said}`);
        }
        session.write("QUIT\r\n");
        await session.over();
      }
    };
    this.#work = Promise.all([0, 1].map(ask));
    this.#work.catch(() => undefined);
  }

  /** Waits for so many right answers more. */
  goOn(more: number): Promise<void> {
    const goal = this.#answered + more;
    return until(() => this.#answered >= goal);
  }

  /** Waits until so many more were put off. */
  fails(more: number): Promise<void> {
    const goal = this.#putOff + more;
    return until(() => this.#putOff >= goal);
  }

  /** The wrong answers. */
  async end(): Promise<readonly string[]> {
    this.#over = true;
    await this.#work;
    return this.#wrong;
  }
}

const count = (text: string, what: RegExp): number => text.match(what)?.length ?? 0;

/** Whom a kept message was for: smtp-sink writes it on top. */
function recipientsOf(message: string): string[] {
  return Array.from(message.matchAll(/^X-Rcpt-Args: <(.*?)>/gm), ([, address = ""]) => address);
}

/** The id of a message of the load. */
function loadIds(message: string): readonly string[] {
  return /^Subject: load\r?$/m.test(message) ? (/^Message-Id: .*>/im.exec(message) ?? []) : [];
}

function folderIn(folder: string, name: string): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  return path;
}
