// ldap: while the server dies, hangs, comes back, refuses and lies: every answer is right, or there is none.
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError, TableUnavailable, type LookupTable } from "@postern/core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  describeWith,
  freePort,
  ldifEntry,
  makeCertificate,
  slapdBase,
  startSlapd,
  temporaryFolder,
  type Slapd,
  type SlapdOptions,
} from "../services/index.ts";
import { until } from "../e2e/until.ts";
import { undisturbed } from "../undisturbed.ts";
import { ask, openLdap, unavailable } from "./ldap-tables.ts";

const userCount = 50;
const reader = `uid=reader,${slapdBase}`;

const ldif = [
  ldifEntry(reader, { objectClass: ["account", "simpleSecurityObject"], uid: "reader", userPassword: "geheim" }),
  ldifEntry(`uid=peer,${slapdBase}`, { objectClass: "account", uid: "peer" }),
  ...Array.from({ length: userCount }, (_, index) =>
    ldifEntry(`uid=u${index},${slapdBase}`, {
      objectClass: ["account", "mailThing"],
      uid: `u${index}`,
      mail: [`u${index}@example.test`, "everybody@example.test"],
      maildrop: `box${index}@drop.test`,
      ...(index === 0 ? { mailBlob: Buffer.from([0xff, 0xfe, 0x00]) } : {}),
    }),
  ),
].join("");

/** Keys with what is right for them: half are there, half are not. */
const questions = Array.from({ length: 2 * userCount }, (_, index) => ({
  key: `u${index}@example.test`,
  right: index < userCount ? `box${index}@drop.test` : undefined,
}));

describeWith(["slapd", "ldapsearch", "openssl"], "ldap, when the server fails", () => {
  const folder = temporaryFolder();
  const warnings: string[] = [];
  const open = openLdap(folder.path, warnings);
  const opened: LookupTable[] = [];
  const extra: Slapd[] = [];
  let first: Slapd;
  let second: Slapd;

  const options = (name: string): SlapdOptions => ({ folder: folder.path, name, ldif });
  beforeAll(async () => {
    [first, second] = await Promise.all([startSlapd(options("first")), startSlapd(options("second"))]);
  });
  /** For one test, however it ends. */
  const start = async (slapd: SlapdOptions): Promise<Slapd> => {
    const started = await startSlapd(slapd);
    extra.push(started);
    return started;
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((table) => table.close()));
    await Promise.all(extra.splice(0).map((slapd) => slapd.stop()));
  });
  afterAll(async () => {
    await Promise.all([first.stop(), second.stop()]);
    folder[Symbol.dispose]();
  });

  const url = (slapd: Slapd) => `ldap://127.0.0.1:${slapd.port}`;
  const basic = { search_base: slapdBase, query_filter: "(mail=%s)", timeout: "60" };
  /** Where somebody is mute, and that must end. */
  const impatient = { timeout: "1" };
  const openTable = async (parameters: Record<string, unknown>) => {
    const table = await open({ ...basic, ...parameters });
    opened.push(table);
    return table;
  };
  const restart = (slapd: Slapd, name: string) =>
    startSlapd({ ...options(name), port: slapd.port, tlsPort: slapd.tlsPort });

  /** Asks all the time until `story` is told, which may wait for so many right answers more. Any wrong answer fails. */
  async function askThroughout(
    table: LookupTable,
    story: (goOn: (count: number) => Promise<void>) => Promise<void>,
  ): Promise<Record<string, number>> {
    const counts = { right: 0, unavailable: 0, wrong: 0 };
    const goOn = (count: number) => {
      const goal = counts.right + count;
      return until(() => counts.right >= goal);
    };
    let told = false;
    const worker = async (start: number) => {
      for (let index = start; !told; index += 7) {
        const { key, right } = questions[index % questions.length] as (typeof questions)[number];
        const answer = await ask(table, key);
        if (answer === right) counts.right += 1;
        else if (answer === unavailable) counts.unavailable += 1;
        else counts.wrong += 1;
        // Leaves room for the story when there is nothing to wait for.
        await delay(answer === unavailable ? 2 : 0);
      }
    };
    const workers = Array.from({ length: 20 }, (_, start) => worker(start));
    await story(goOn).finally(() => (told = true));
    await Promise.all(workers);
    return counts;
  }

  const isWell = async (table: LookupTable) => {
    expect(await ask(table, "u1@example.test")).toBe("box1@drop.test");
  };
  const wellAgain = (table: LookupTable) => expect.poll(() => ask(table, "u1@example.test")).toBe("box1@drop.test"); // prettier-ignore

  test("killed and started again, under load, bound as before", async () => {
    const guarded = await start({ ...options("guarded"), lines: ["access to attrs=userPassword by anonymous auth by * none", `access to * by dn.exact="${reader}" read by * none`] }); // prettier-ignore
    let running = guarded;
    const table = await openTable({ server_host: url(guarded), bind_dn: reader, bind_pw: "geheim" });
    await isWell(table);
    const counts = await askThroughout(table, async (goOn) => {
      for (const end of ["kill", "stop", "kill"] as const) {
        await goOn(50);
        await running[end]();
        expect(await ask(table, "u1@example.test")).toBe(unavailable);
        running = await start({ ...options("guarded"), port: guarded.port, tlsPort: guarded.tlsPort, lines: ["access to attrs=userPassword by anonymous auth by * none", `access to * by dn.exact="${reader}" read by * none`] }); // prettier-ignore
        await wellAgain(table);
      }
      await goOn(50);
    });
    expect(counts).toMatchObject({ wrong: 0 });
    expect(counts.unavailable).toBeGreaterThan(0);
  });

  test("standing still, and going on", async () => {
    const table = await openTable({ server_host: url(first), ...impatient });
    const counts = await askThroughout(table, async (goOn) => {
      await goOn(50);
      await first.pause();
      await expect.poll(() => ask(table, "u1@example.test")).toBe(unavailable);
      first.resume();
      await wellAgain(table);
      await goOn(50);
    });
    expect(counts).toMatchObject({ wrong: 0 });
  });

  for (const bind of ["yes", "no"]) {
    test(`the second server when the first stands still (bind = ${bind})`, async () => {
      const table = await openTable({ server_host: `${url(first)}, ${url(second)}`, bind, ...impatient });
      await undisturbed(() => isWell(table));
      await first.pause();
      try {
        // One time-out, and the answer all the same.
        await undisturbed(() => isWell(table));
      } finally {
        first.resume();
      }
      await undisturbed(() => isWell(table));
    });
  }

  test("the second server when the first is not there, also for the old form of names", async () => {
    const gone = await freePort();
    for (const host of [`ldap://127.0.0.1:${gone} ${url(second)}`, `127.0.0.1:${gone},127.0.0.1:${second.port}`]) {
      await isWell(await openTable({ server_host: host }));
    }
    await isWell(await openTable({ server_host: "127.0.0.1", server_port: second.port }));
    await isWell(await openTable({ server_host: [`ldap://127.0.0.1:${gone}`, url(second)] }));
  });

  test("both killed and started again, under load", async () => {
    const table = await openTable({ server_host: `${url(first)} ${url(second)}` });
    const counts = await askThroughout(table, async (goOn) => {
      await goOn(50);
      await first.kill();
      await wellAgain(table);
      await goOn(50);
      await second.kill();
      expect(await ask(table, "u1@example.test")).toBe(unavailable);
      second = await restart(second, "second");
      await wellAgain(table);
      first = await restart(first, "first");
      await second.kill();
      await wellAgain(table);
      await goOn(50);
      second = await restart(second, "second");
    });
    expect(counts).toMatchObject({ wrong: 0 });
  });

  test("tables of the same parameters share one connection, and the last one closes it", async () => {
    const connections: Socket[] = [];
    const proxy = await listen((socket) => connections.push(socket), second.port);
    const parameters = { server_host: `ldap://127.0.0.1:${proxy.port}` };
    const [one, two] = [await openTable(parameters), await openTable({ ...parameters, result_attribute: "uid" })];
    await Promise.all(questions.map(({ key }) => Promise.all([ask(one, key), ask(two, key)])));
    expect(connections).toHaveLength(1);
    await one.close();
    expect(await ask(one, "u1@example.test")).toBe(unavailable);
    expect(await ask(two, "u1@example.test")).toBe("u1");
    await two.close();
    await expect.poll(() => connections[0]?.closed).toBe(true);
    await proxy.close();
  });

  test("a connection that the server ended while idle is not noticed by a lookup", async () => {
    const brief = await start({ ...options("brief"), globals: ["idletimeout 1"] });
    const table = await openTable({ server_host: url(brief) });
    // Standing still, the server finds every connection idle.
    await undisturbed(() => isWell(table));
    for (let round = 0; round < 2; round += 1) {
      await delay(1300);
      await undisturbed(() => isWell(table));
    }
  });

  test("a connection that ends under a search: the search is sent again, once", async () => {
    let pieces = 0;
    // Bind and first search pass; the next request ends the connection.
    const proxy = await listen((socket) => socket.on("data", () => void (++pieces % 3 === 0 && socket.destroy())), second.port); // prettier-ignore
    const table = await openTable({ server_host: `ldap://127.0.0.1:${proxy.port}` });
    for (let round = 0; round < 4; round += 1) await isWell(table);
    expect(pieces).toBeGreaterThan(8);
    await proxy.close();
  });

  test("limits of the server and of the table are no answer, never a part of it", async () => {
    const limited = await start({ ...options("limited"), lines: ["limits * size=5"] });
    for (const parameters of [
      {},
      { size_limit: "5" },
      { size_limit: "20" },
      { size_limit: "5", special_result_attribute: "seeAlso" },
    ]) {
      // prettier-ignore
      const table = await openTable({ server_host: url(limited), ...parameters });
      const failure: unknown = await Promise.resolve(table.lookup("everybody@example.test")).catch((e: unknown) => e);
      expect(failure).toBeInstanceOf(TableUnavailable);
      expect(failure).toMatchObject({ onlyThisKey: true });
      await isWell(table);
    }
    const all = await openTable({ server_host: url(second) });
    expect((await ask(all, "everybody@example.test"))?.split(",")).toHaveLength(userCount);
  });

  test("a lookup that nobody waits for any more asks nothing", async () => {
    let pieces = 0;
    const proxy = await listen((socket) => socket.on("data", () => (pieces += 1)), second.port);
    const table = await openTable({ server_host: `ldap://127.0.0.1:${proxy.port}` });
    const given = Promise.resolve(table.lookup("u1@example.test", { signal: AbortSignal.abort() }));
    await expect(given).rejects.toThrow(TableUnavailable);
    expect(pieces).toBe(0);
    await proxy.close();
  });

  test("a value that is no text is no answer", async () => {
    const table = await openTable({ server_host: url(second), result_attribute: "mailBlob" });
    expect([await ask(table, "u0@example.test"), await ask(table, "u1@example.test")]).toEqual([
      unavailable,
      undefined,
    ]);
  });

  test("StartTLS and ldaps: the right authority, a wrong one, and none asked for", async () => {
    const strange = join(folder.path, "strange");
    mkdirSync(strange, { recursive: true });
    const wrong = makeCertificate(strange, ["localhost"]).cert;
    copyFileSync(second.authority, join(strange, "right.0"));
    const local = { tls_require_cert: "yes", tls_ca_cert_file: second.authority };
    const [plain, secure] = [`ldap://localhost:${second.port}`, `ldaps://localhost:${second.tlsPort}`];
    for (const parameters of [{ server_host: plain, start_tls: "yes" }, { server_host: secure }]) {
      await isWell(await openTable({ ...parameters, ...local }));
      await isWell(await openTable({ ...parameters, ...local, server_host: parameters.server_host.replace("localhost", "127.0.0.1") })); // prettier-ignore
      await isWell(await openTable({ ...parameters, tls_require_cert: "yes", tls_ca_cert_dir: strange }));
      await isWell(await openTable(parameters));
      for (const refused of [{ ...local, tls_ca_cert_file: wrong }, { tls_require_cert: "yes" }]) {
        expect(await ask(await openTable({ ...parameters, ...refused }), "u1@example.test")).toBe(unavailable);
      }
    }
  });

  test("a certificate for another name", async () => {
    const other = await start({ ...options("other"), names: ["other.example.test"] });
    const checked = { tls_require_cert: "yes", tls_ca_cert_file: other.authority };
    for (const host of ["127.0.0.1", "localhost"]) {
      const right = host === "127.0.0.1" ? "box1@drop.test" : unavailable;
      for (const parameters of [
        { server_host: `ldap://${host}:${other.port}`, start_tls: "yes" },
        { server_host: `ldaps://${host}:${other.tlsPort}` },
      ]) {
        expect(await ask(await openTable({ ...parameters, ...checked }), "u1@example.test")).toBe(right);
        await isWell(await openTable(parameters));
      }
    }
  });

  test("StartTLS that is refused is not gone without", async () => {
    // The answer to the extended operation: protocolError. All that follows is a real server.
    const refusal = Buffer.from("300c02010178070a010204000400", "hex");
    const server = await listen((socket) =>
      socket.once("data", () => {
        socket.write(refusal);
        const inner = connect(second.port, "127.0.0.1");
        inner.on("error", () => {});
        socket.pipe(inner).pipe(socket);
      }),
    );
    const parameters = { server_host: `ldap://127.0.0.1:${server.port}` };
    expect(await ask(await openTable({ ...parameters, start_tls: "yes" }), "u1@example.test")).toBe(unavailable);
    await server.close();
  });

  test("ldapi, with the name that the socket gives us", async () => {
    const peers = await start({ ...options("peers"), lines: [`access to * by dn.exact="uid=peer,${slapdBase}" read by * none`] }); // prettier-ignore
    const sasl = { server_host: peers.socketUrl, bind: "sasl", sasl_mechs: "EXTERNAL" };
    await isWell(await openTable(sasl));
    expect(await ask(await openTable({ ...sasl, bind: "no" }), "u1@example.test")).toBe(unavailable);
  });

  test("secrets from a file, beside a .cf file", async () => {
    writeFileSync(join(folder.path, "password"), "geheim\n");
    writeFileSync(join(folder.path, "aliases.cf"), `server_host = ${url(second)}\nsearch_base = ${slapdBase}\nquery_filter = (mail=%s)\nbind_dn = ${reader}\n`); // prettier-ignore
    const table = await open({ bind_pw: { file: join(folder.path, "password") } }, "aliases.cf");
    opened.push(table);
    await isWell(table);
  });

  const rubbish: Readonly<Record<string, Buffer | string>> = {
    "another protocol": "220 mail.example.test ESMTP\r\n",
    "a length beyond all bounds": Buffer.from("3084ffffffff", "hex"),
    "lengths that lie": Buffer.from("300c02010165ff0a010004000400", "hex"),
    "an element cut short": Buffer.from("300c02010161070a0100040004ff", "hex"),
    "an entry without end": Buffer.from("301d0201016418040475696430103084000000ff", "hex"),
    "a notice of disconnection": Buffer.from("300c02010078070a013404000400", "hex"),
    "an answer to another question": Buffer.from("300c02010178070a010004000400", "hex"),
    "an indefinite length": Buffer.from("30800201010000", "hex"),
  };
  for (const [name, octets] of Object.entries(rubbish)) {
    for (const bind of ["yes", "no"]) {
      test(`${name} (bind = ${bind})`, async () => {
        const server = await listen((socket) => socket.on("data", () => socket.write(octets)));
        const table = await openTable({ server_host: `ldap://127.0.0.1:${server.port}`, bind, ...impatient });
        expect(await ask(table, "u1@example.test")).toBe(unavailable);
        await server.close();
      });
    }
  }

  for (const scheme of ["ldap", "ldaps"]) {
    test(`closed while a silent server is connected to: nobody waits any longer (${scheme})`, async () => {
      let heard = (): void => undefined;
      const asked = new Promise<void>((resolve) => (heard = resolve));
      const server = await listen((socket) => socket.on("data", () => heard()));
      const table = await openTable({ server_host: `${scheme}://127.0.0.1:${server.port}`, timeout: "1h" });
      const answers = ["u1@example.test", "u2@example.test"].map((key) => ask(table, key));
      await asked;
      await table.close();
      expect(await Promise.all(answers)).toEqual([unavailable, unavailable]);
      // Ends when no connection is left.
      await server.close();
    });
  }

  test("after a notice of disconnection the connection is given up, not waited for", async () => {
    const notice = Buffer.from("300c02010078070a013404000400", "hex");
    let connections = 0;
    const server = await listen((socket) => {
      connections += 1;
      socket.on("data", () => socket.write(notice));
    });
    const table = await openTable({ server_host: `ldap://127.0.0.1:${server.port}`, bind: "no" });
    expect(await ask(table, "u1@example.test")).toBe(unavailable);
    expect(connections).toBe(2);
    await server.close();
  });

  test("a connection that gives an answer octet by octet is read right", async () => {
    const slow = await listen(() => {}, second.port, async function* (piece) {
      for (const octet of piece) {
        yield Buffer.from([octet]);
        await delay(0);
      }
    }); // prettier-ignore
    await isWell(await openTable({ server_host: `ldap://127.0.0.1:${slow.port}` }));
    await slow.close();
  });

  test("mistakes of the operator are found at opening", async () => {
    const wrong: Readonly<Record<string, Record<string, unknown>>> = {
      query_filter: { query_filter: "(&(mail=%s)(uid=x)" },
      "query_filter ": { query_filter: "(mail%s)" },
      search_base: { search_base: undefined },
      scope: { scope: "everything" },
      bind: { bind: "perhaps" },
      sasl_mechs: { bind: "sasl", sasl_mechs: "GSSAPI" },
      server_host: { server_host: "ldap://[::1" },
      start_tls: { start_tls: "yes", server_host: "ldaps://127.0.0.1" },
      version: { version: "4" },
      dereference: { dereference: "4" },
      recursion_limit: { recursion_limit: "0" },
      timeout: { timeout: "soon" },
      tls_ca_cert_file: { tls_ca_cert_file: "./nowhere.pem" },
      tls_key: { tls_cert: second.authority },
    };
    for (const [key, parameters] of Object.entries(wrong)) {
      const failure: unknown = await open({ ...basic, server_host: url(second), ...parameters }).catch(
        (e: unknown) => e,
      );
      expect(failure, key).toBeInstanceOf(ConfigError);
      expect((failure as ConfigError).message).toContain(key.trim());
    }
    await openTable({ server_host: url(second), qery_filter: "x" });
    expect(warnings.at(-1)).toContain("query_filter");
  });
});

interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/** A server that lets `take` have each connection, or hands it on to a port, its answers through `change`. */
async function listen(
  take: (socket: Socket) => unknown,
  onto?: number,
  change: (piece: Buffer) => AsyncIterable<Buffer> | Iterable<Buffer> = (piece) => [piece],
): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    take(socket);
    if (onto === undefined) return;
    const inner = connect(onto, "127.0.0.1");
    sockets.add(inner);
    inner.on("error", () => socket.destroy());
    socket.on("close", () => inner.destroy());
    socket.pipe(inner);
    void (async () => {
      for await (const piece of inner) for await (const part of change(piece as Buffer)) socket.write(part);
      socket.end();
    })().catch(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
