// A gateway that has nothing of its own: domains, recipients, aliases, routes and senders stand in a database. The stories of
// what it does then, and of outages, are the same for every database.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sample } from "../sampling.ts";
import { dial, hand, type Dialogue } from "../e2e/dialogue.ts";
import { startGateway, type GatewayProcess } from "../e2e/gateway.ts";
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
import { undisturbed } from "../undisturbed.ts";
import { Prober } from "./everything-prober.ts";
import {
  configOf,
  describeWorld,
  own,
  ours,
  stranger,
  team,
  type Database,
  type TableName,
  type World,
} from "./everything-world.ts";

export interface EverythingOptions {
  readonly name: string;
  readonly needs: readonly string[];
  /** Of its tables. */
  readonly type: string;
  readonly prepare: (folder: string, world: World) => Promise<Database>;
  /** A client that others wrote. */
  readonly send: (port: number, sender: string, recipients: readonly string[], file: string) => Promise<Ended>;
}

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
    const reports = (sink: SmtpSink) => sink.messages().filter((text) => text.includes("report-type=delivery-status"));
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
      ["senders", [], ["ann@corp.test"]],
    ])(
      "the server lives without %s: who needs it is put off, the others are not, and the log names it",
      async (table, putOff, answered) => {
        await wellAgain();
        const before = gateway.log().length;
        database.hide(table);
        try {
          using session = await begin("a@friend.test");
          expect(await say(session, `RCPT TO:<${own}>`)).toMatch(/^250 /);
          using other = await begin();
          expect(await say(other, `RCPT TO:<${own}>`)).toMatch(table === "senders" ? /^451 4\.3\.0 / : /^250 /);
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
      const briefly = { queue: { directory: "./queue", minBackoff: "1s", maxBackoff: "1s", lifetime: "3s" } };
      const hastyOptions = {
        folder: folderIn(folder.path, "hasty"),
        config: configOf(database.specs, briefly),
        files: database.files,
      };
      let hasty = await startGateway(hastyOptions);
      expect(await handOver({ localAddress: stranger, from: own, to: "eve@late.test", content })).toMatch(/^250 /);
      for (const from of [own, "ann@corp.test"]) {
        expect(await hand(hasty.port, { localAddress: stranger, from, to: "eve@late.test", content })).toMatch(/^250 /);
      }
      await running.kill();
      await until(() => gateway.log().includes("cannot be routed"));
      // The report's own way is written in files.
      const [report] = await waitForMail(join(hasty.folder, "mail/home.test/joe"));
      const text = report?.raw.toString("latin1") ?? "";
      expect(text).toMatch(/^Status: 4\.4\.7/m);
      expect(text).toMatch(/temporary failure in routing/);
      expect(withoutTrace(Buffer.from(text)).toString("latin1")).not.toMatch(innards);
      // The other sender's way is not known now: who was not told is told when it is.
      await until(() => hasty.log().includes("sender cannot be told now"));
      expect(reports(a)).toEqual([]);
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
      await hasty.stop();
      hasty = await startGateway({ ...hastyOptions, port: hasty.port });
      await until(() => reports(a).length > 0);
      await hasty.stop();
      expect(reports(a).map(recipientsOf)).toEqual([["ann@corp.test"]]);
    });

    it("stopped: who needs it is put off in the end, who does not is served meanwhile; going on, it is asked again", async () => {
      await undisturbed(async () => {
        await wellAgain();
        using withAliases = await begin();
        expect(await say(withAliases, `RCPT TO:<${team}>`)).toMatch(/^250 /);
        await running.pause();
        try {
          const order: string[] = [];
          using waiting = await begin("a@friend.test");
          const putOff = say(waiting, "RCPT TO:<ann@corp.test>").then((said) => (order.push("put off"), said));
          const refused = withAliases.data("Subject: stopped\r\n\r\ntext\r\n");
          const before = readMaildir(home()).length;
          expect(await handOver({ localAddress: stranger, from: "a@friend.test", to: own })).toMatch(/^250 /);
          await waitForMail(home(), before + 1);
          order.push("served");
          expect(await putOff).toMatch(/^451 4\.3\.0 /);
          expect(order).toEqual(["served", "put off"]);
          expect(noted(await refused)).toMatch(/^451 4\.3\.0 /);
        } finally {
          running.resume();
        }
      });
      await wellAgain();
      await undisturbed(async () => {
        const content = "Subject: goes on\r\n\r\ntext\r\n";
        expect(await handOver({ localAddress: stranger, to: team, content })).toMatch(/^250 /);
      });
      await arrives("goes on", { a: ["ann@corp.test"], b: ["bob@partner.test"], box: 1 });
      expect(places("stopped")).toEqual({ a: [], b: [], box: 0 });
    });

    it("killed and started again under load: all that a relay was given arrives, and nobody is turned away or let in by it", async () => {
      const messages = sample(100, 500);
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
      const prober = new Prober(gateway.port, stranger, {
        "ann@corp.test": /^250 /,
        "joe@box.test": /^250 /,
        [team]: /^250 /,
        "nobody@corp.test": /^550 5\.1\.1 /,
        "nobody@alias.test": /^550 5\.1\.1 /,
        "victim@victim.test": /^554 5\.7\.1 /,
      });
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
      await until(() => relay.queueIds().length === 0).catch((error: unknown) => {
        throw new Error(`${relay.mailLog().slice(-3000)}\n${gateway.log().slice(-3000)}`, { cause: error });
      });
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
