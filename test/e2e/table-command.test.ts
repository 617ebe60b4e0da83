// postern table …, as a user runs it: processes of their own, beside the real postmap where it says the same.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith } from "../services/describe-with.ts";
import { programPath } from "../services/programs.ts";
import { command } from "./gateway.ts";
import { run, type Ended } from "./run.ts";

const root = mkdtempSync(join(tmpdir(), "postern-table-"));
afterAll(() => rmSync(root, { recursive: true }));

type Files = Readonly<Record<string, string | Buffer | object>>;

/** Tables are old: Postfix waits until a file is no longer hot. */
function folder(files: Files = {}): string {
  const path = mkdtempSync(join(root, "f-"));
  for (const [name, content] of Object.entries(files)) {
    const text = typeof content === "string" || Buffer.isBuffer(content) ? content : JSON.stringify(content);
    mkdirSync(join(path, name, ".."), { recursive: true });
    writeFileSync(join(path, name), text, { mode: 0o600 });
    utimesSync(join(path, name), 1e9, 1e9);
  }
  return path;
}

const env = { ...process.env, POSTERN_CONFIG: "", DEBUG: undefined };
const program = ["--conditions=@postern/source", command, "table"] as const;

function table(cwd: string, args: readonly string[], input: string | Buffer = ""): Promise<Ended> {
  return run(process.execPath, [...program, ...args], { cwd, env, input });
}

const config = {
  hostname: "mx.example.test",
  listeners: [{ host: "127.0.0.1", port: 0 }],
  queue: { directory: "./queue" },
  plugins: ["@postern/plugin-access", "@postern/plugin-transport-smtp"],
};

const clients = "# ours\nspam.test REJECT\n192.0.2 OK\n<> DUNNO\nuser@a.test one\njoe bob\n@a.test all\nÄra umlaut\n";

describe("table query", () => {
  const cwd = folder({ clients, rules: "/^(.+)@x\\.test$/ $1\n", half: "a 1\n" });
  const partly = "pipemap:{ inline:{ a=x, b=y }, fail:x }";

  test.each<[name: string, args: string[], status: number, stdout: string, stderr?: RegExp]>([
    ["one key is its value", ["texthash:clients", "SPAM.test"], 0, "REJECT\n"],
    ["one key that is not there is nothing", ["texthash:clients", "ham.test"], 1, ""],
    ["several keys", ["texthash:clients", "no", "spam.test", "<>"], 0, "spam.test\tREJECT\n<>\tDUNNO\n"],
    ["a type of a package", ["pcre:rules", "me@x.test"], 0, "me\n"],
    [
      "some could not be asked",
      [partly, "a", "2", "b"],
      75,
      "",
      /^postern: key "a": table fail:x: it always fails\npostern: key "b": .*\n$/,
    ],
    ["no file", ["texthash:gone", "a"], 78, "", /^postern: table texthash:gone: \S+\/gone: there is no such file\n$/],
    ["no key", ["texthash:clients"], 64, "", /^postern: missing required argument 'keys'\n$/],
  ])("%s", async (_, args, status, stdout, stderr = /^$/) => {
    const ended = await table(cwd, ["query", ...args]);
    expect(ended.stderr).toMatch(stderr);
    expect([ended.status, ended.stdout]).toEqual([status, stdout]);
  });

  test("--explain: keys tried, where they stand, what they cost; inside tables of tables, too", async () => {
    const args = ["query", "--explain", "--as", "access"];
    const human = await table(cwd, [...args, "texthash:clients", "me@x.spam.test", "no@b"]);
    expect(
      human.stdout
        .replaceAll(/ +\d+\.\d{3} ms/g, " T")
        .replaceAll(cwd, "")
        .split("\n"),
    ).toEqual([
      "me@x.spam.test: REJECT",
      "  texthash:clients  me@x.spam.test  not found T",
      "  texthash:clients  x.spam.test     not found T",
      "  texthash:clients  spam.test       = REJECT   /clients, line 2 T",
      "no@b: not found",
      "  texthash:clients  no@b  not found T",
      "  texthash:clients  b     not found T",
      "  texthash:clients  no@   not found T",
      "",
    ]);
    const spec = "unionmap:{ texthash:clients, inline:{ spam.test=x } }";
    const { stdout } = await table(cwd, [...args, "--json", spec, "spam.test"]);
    expect(JSON.parse(stdout)).toEqual({
      key: "spam.test",
      result: "found",
      value: "REJECT,x",
      steps: [
        {
          table: spec,
          key: "spam.test",
          result: "found",
          value: "REJECT,x",
          file: join(cwd, "clients"),
          line: 2,
          costMs: expect.any(Number),
          inside: [
            { table: "texthash:clients", key: "spam.test", result: "found" },
            { table: "inline:{ spam.test=x }", key: "spam.test", result: "found" },
          ],
        },
      ],
    });
    const lost = await table(cwd, ["query", "--explain", "--json", "fail:x", "a"]);
    expect([lost.status, JSON.parse(lost.stdout)]).toMatchObject([
      75,
      { result: "unavailable", error: "table fail:x: it always fails", steps: [{ result: "unavailable" }] },
    ]);
  });

  test("--json: a line for each key, found or not", async () => {
    const { stdout, status } = await table(cwd, ["query", "--json", "texthash:half", "-"], "a\nb\n");
    expect([
      status,
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ]).toEqual([
      0,
      [
        { key: "a", result: "found", value: "1" },
        { key: "b", result: "notFound" },
      ],
    ]);
  });

  test("warnings of the table are told", async () => {
    const twice = folder({ t: "a 1\nlonely\nA 2\n" });
    const ended = await table(twice, ["query", "texthash:t", "a"]);
    expect([ended.status, ended.stdout]).toEqual([0, "1\n"]);
    expect(ended.stderr.replaceAll(twice, "")).toBe(
      "postern: warning: /t, line 2: expected format: key whitespace value -- ignoring this line\n" +
        'postern: warning: /t, line 3: ignoring duplicate entry: "A"\n',
    );
  });

  test("relative names are from the current folder, whatever config is named; the order asks that config", async () => {
    const home = folder({
      "etc/postern.config.json": {
        ...config,
        recipientDelimiter: "+",
        domains: { local: ["texthash:./ours"], virtualMailbox: ["box.test"] },
        plugins: [...config.plugins, "./answer.mjs"],
      },
      "etc/ours": "a.test x\n",
      "etc/answer.mjs": `import { definePlugin } from "@postern/core"; import { z } from "zod";
        export default definePlugin({ name: "deep", apiVersion: 1, options: z.strictObject({}), setup(gateway) {
          gateway.tables.register("deep", (name) => ({ type: "deep", name, kind: "indexed", trusted: true,
            lookup: async (key) => key === "never" ? new Promise(() => {}) : key === "life" ? "42" : undefined, close: async () => {} }), "Thinks."); } });`,
      t: "joe bob\n",
    });
    const named = ["--config", "etc/postern.config.json"];
    const ask = async (...args: string[]) => {
      const { status, stdout, stderr } = await table(home, ["query", ...named, ...args]);
      return [status, stdout, stderr];
    };
    expect(await ask("deep:thought", "life")).toEqual([0, "42\n", ""]);
    const impatient = '{ "type": "deep", "name": "thought", "deadline": "100ms" }';
    expect(await ask(impatient, "never", "life")).toEqual([
      75,
      "life\t42\n",
      'postern: key "never": table deep:thought: no answer (no answer within 100 ms)\n',
    ]);
    expect(await ask("--as", "canonical", "texthash:t", "joe+x@A.test")).toEqual([0, "bob\n", ""]);
    // The first domain with mailboxes is our origin; whose users are local for these tables.
    expect(await ask("--as", "canonical", "texthash:t", "joe@b.test")).toEqual([1, "", ""]);
    const listed = JSON.parse((await table(home, ["list", "--json", ...named])).stdout) as object[];
    expect(listed).toContainEqual({ type: "deep", description: "Thinks.", from: "plugin", provider: "deep" });
  });
});

describe("table query -", () => {
  test("the answer comes before the next question, and a table that does not open reads none", async () => {
    const child = spawn(process.execPath, [...program, "query", "inline:{ a=1, b=2 }", "-"], { env, stdio: "pipe" });
    for (const [key, said] of [
      ["a", "a\t1\n"],
      ["x\nb", "b\t2\n"],
    ] as const) {
      child.stdin.write(`${key}\n`);
      const [chunk] = (await once(child.stdout, "data")) as [Buffer];
      expect(chunk.toString()).toBe(said);
    }
    child.stdin.end();
    expect(await once(child, "close")).toEqual([0, null]);
    const refused = spawn(process.execPath, [...program, "query", "texthash:gone", "-"], { env, stdio: "pipe" });
    expect(await once(refused, "exit")).toEqual([78, null]);
    refused.stdin.end();
  });

  test("a table that answers later is asked for several keys at once; the answers are in order, failures among them", async () => {
    const keys = Array.from({ length: 300 }, (_, index) => `k${index}`);
    let most = 0;
    const waiting: (() => void)[] = [];
    // tcp_table(5); answers in reverse order once enough have come, to find out who keeps order.
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.setEncoding("utf8").on("data", (text: string) => {
        for (const line of text.split("\n").filter((one) => one !== "")) {
          const key = line.replace("get ", "");
          const number = Number(key.slice(1));
          waiting.push(() => {
            if (number % 10 === 3) socket.write("400 not today\n");
            else socket.write(number % 10 === 7 ? "500 none\n" : `200 v${number}\n`);
          });
          most = Math.max(most, waiting.length);
          if (waiting.length === 1) setImmediate(answerAll);
        }
      });
    });
    function answerAll(): void {
      for (const answer of waiting.splice(0).toReversed()) answer();
    }
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      const { port } = server.address() as AddressInfo;
      const ended = await table(root, ["query", `tcp:127.0.0.1:${port}`, "-"], keys.join("\n"));
      const last = (index: number): number => index % 10;
      const found = keys.filter((_, index) => last(index) !== 3 && last(index) !== 7);
      expect(ended.stdout).toBe(found.map((key) => `${key}\tv${key.slice(1)}\n`).join(""));
      expect(ended.status).toBe(75);
      const lost = keys.filter((_, index) => last(index) === 3);
      expect(ended.stderr.match(/^postern: key "k\d+"/gm)).toEqual(lost.map((key) => `postern: key "${key}"`));
      expect(most).toBeGreaterThan(1);
    } finally {
      server.close();
    }
  });
});

describeWith(["postmap"], "as postmap -q -", () => {
  const random = randomFrom(seed);
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const some = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
  const letters = ["a", "B", "b", "ä", "Ä", "ß", "ss", "x1", "@d", ".e", "+f", '"', "\\", "#", "'", "%s", "$1"];
  const word = (): string => some(1 + below(3), () => pick(letters)).join("");
  const known = some(200, word);
  const wrong = Buffer.from([0xe4, 0xff]).toString("latin1");
  /** Octets as latin1: words that are there and such as are not, with blanks, CR, and octets that are no UTF-8. */
  const line = (): string => {
    const key = Buffer.from(random() < 0.7 ? pick(known) : word()).toString("latin1");
    const around = pick(["", "", "", "", " ", "\t", "\r", wrong]);
    return pick([key, `${key}${around}`, `${around}${key}`, "", key.toUpperCase()]);
  };

  async function compare(cwd: string, spec: string, lines: string): Promise<string> {
    const input = Buffer.from(lines, "latin1");
    const theirs = await run(programPath("postmap"), ["-c", cwd, "-q", "-", spec], { cwd, input });
    const ours = await table(cwd, ["query", spec, "-"], input);
    expect([spec, ours.status, ours.stdout]).toEqual([spec, theirs.status, theirs.stdout]);
    return ours.stdout;
  }

  const source = `${known.map((key) => `${/["\s]/.test(key) ? "q" : key} v ${key.replaceAll('"', "")}\n`).join("")}odd\ta  b \n`;
  const cwd = folder({
    t: source,
    "main.cf": "compatibility_level = 3.6\nsmtputf8_enable = yes\n",
    rules: "/^(a+)/ one $1\n!/b/ two\n",
  });

  test.each([
    `texthash:${cwd}/t`,
    "static:x y",
    `pcre:${cwd}/rules`,
    `regexp:${cwd}/rules`,
    "inline:{ a=1, b=2, ss=3 }",
  ])(`%s (seed ${seed})`, async (spec) => {
    const lines = `${some(sample(3000, 100_000), line).join("\n")}${pick(["", "\n", "\n\n"])}`;
    expect(await compare(cwd, spec, lines)).not.toBe("");
    expect(await compare(cwd, spec, pick(known))).toBeDefined();
  });

  test("nothing in, nothing found; a key cut by a chunk's end is whole", async () => {
    await compare(cwd, `texthash:${cwd}/t`, "");
    await compare(cwd, `static:x`, "\n");
    const long = some(40, () => "ä".repeat(below(9000))).join("\n");
    await compare(cwd, "static:x", Buffer.from(long).toString("latin1"));
  });

  test("what table build wrote, postmap reads", async () => {
    const built = await table(cwd, ["build", "cdb:t"]);
    expect([built.status, built.stdout]).toEqual([0, expect.stringMatching(/\/t\.cdb: \d+ entries\n$/)]);
    const lines = some(1000, line).join("\n");
    expect(await compare(cwd, `cdb:${cwd}/t`, lines)).not.toBe("");
  });
});

describe("table build", () => {
  test("duplicates are told, the rest is built; a source that is wrong leaves what stands", async () => {
    const cwd = folder({ t: "a 1\nb 2\nA 3\n" });
    const built = await table(cwd, ["build", "--json", "cdb:t", "hash:t", "texthash:t"]);
    expect([built.status, JSON.parse(built.stdout), built.stderr]).toEqual([
      0,
      [{ table: "cdb:t", file: join(cwd, "t.cdb"), entries: 2 }, { table: "hash:t" }, { table: "texthash:t" }],
      expect.stringMatching(/^postern: warning: \S+\/t, line 3: ignoring duplicate entry: "A"\n$/),
    ]);
    expect((await table(cwd, ["query", "cdb:t", "A"])).stdout).toBe("1\n");
    const before = readFileSync(join(cwd, "t.cdb"));
    rmSync(join(cwd, "t"));
    const gone = await table(cwd, ["build", "cdb:t"]);
    expect([gone.status, gone.stderr]).toEqual([78, expect.stringMatching(/\/t: there is no such file\n$/)]);
    expect(readFileSync(join(cwd, "t.cdb")).equals(before)).toBe(true);
  });

  test.each<[name: string, spec: string, status: number, sentence: RegExp]>([
    ["lmdb is postmap's", "lmdb:t", 78, /^postern: table lmdb:t: .*`postmap lmdb:t` makes them\n$/],
    ["nothing to build", "static:t", 78, /^postern: table static:t: there is nothing to build for this type\n$/],
    ["no name", "cdb:", 78, /^postern: table "cdb:" needs a file name\n$/],
    ["no table", "t", 78, /^postern: "t" is no table/],
    ["the system refuses", "cdb:blocked", 73, /^postern: cdb:blocked cannot be built: .*blocked/],
  ])("%s", async (_, spec, status, sentence) => {
    const cwd = folder({ t: "a 1\n", blocked: "a 1\n", "blocked.cdb.tmp/x": "" });
    const ended = await table(cwd, ["build", spec]);
    expect([ended.status, ended.stdout, ended.stderr]).toEqual([status, "", expect.stringMatching(sentence)]);
  });
});

describe("table check", () => {
  const policy = (...rcpt: string[]) => ({ ...config, policy: { rcpt: [...rcpt, "reject_unauth_destination"] } });

  test("every table: counted when it is in memory, asked else", async () => {
    const cwd = folder({
      "postern.config.json": policy("check_sender_access texthash:./senders", "check_client_access regexp:./rules"),
      senders: "a.test REJECT\nb.test OK\n",
      rules: "/^10\\./ REJECT\n",
    });
    const { status, stdout, stderr } = await table(cwd, ["check", "--json"]);
    expect([status, stderr]).toEqual([0, ""]);
    const { tables } = JSON.parse(stdout) as { tables: { table: string; name: string }[] };
    expect(tables).toEqual([
      {
        table: "texthash:./senders",
        type: "texthash",
        name: "./senders",
        plugin: "core",
        kind: "indexed",
        trusted: true,
        entries: 2,
        answers: true,
        costMs: expect.any(Number),
      },
      expect.objectContaining({ table: "regexp:./rules", plugin: "maps-file", kind: "pattern", answers: true }),
    ]);
    const human = (await table(cwd, ["check"])).stdout;
    expect(human).toMatch(/^TABLE +FROM +ENTRIES +STATE +COST\ntexthash:\.\/senders +core +2 +answers +[\d.]+ ms\n/);
  });

  test("a table that is down is 75, with its reason; the others are told", async () => {
    const cwd = folder({
      "postern.config.json": policy("check_sender_access texthash:./senders", "check_client_access fail:x"),
      senders: "a.test REJECT\n",
    });
    const ended = await table(cwd, ["check"]);
    expect([ended.status, ended.stderr]).toEqual([75, "postern: table fail:x: it always fails\n"]);
    expect(ended.stdout).toMatch(/^texthash:\.\/senders .* answers .*\nfail:x +core +- +could not ask /m);
  });

  test("a wrong value is 78, with file and line; warnings are told here and by check", async () => {
    const cwd = folder({
      "postern.config.json": policy("check_sender_access texthash:./senders"),
      senders: "lonely\na.test REJEKT\n",
    });
    const ended = await table(cwd, ["check"]);
    expect(ended.status).toBe(78);
    expect(ended.stderr).toMatch(/^postern: warning: \S+senders, line 1: .*\npostern: .*senders, line 2.*REJEKT/s);
    writeFileSync(join(cwd, "senders"), "lonely\na.test REJECT\n");
    const whole = await run(process.execPath, [...program.slice(0, 2), "check"], { cwd, env });
    expect([whole.status, whole.stderr]).toEqual([0, expect.stringMatching(/^postern: warning: \S+senders, line 1: /)]);
  });
});

describe("table list", () => {
  test("types of core and of installed packages, each with a description", async () => {
    const { status, stdout, stderr } = await table(folder(), ["list", "--json"]);
    const types = JSON.parse(stdout) as { type: string; from: string; provider: string; description: string }[];
    expect([status, stderr]).toEqual([0, ""]);
    expect(types.filter(({ description }) => !/^[A-Za-z].*\.$/.test(description))).toEqual([]);
    expect(types).toContainEqual(expect.objectContaining({ type: "texthash", from: "core", provider: "core" }));
    expect(types).toContainEqual(
      expect.objectContaining({ type: "cdb", from: "package", provider: "@postern/plugin-maps-file" }),
    );
    expect((await table(folder(), ["list"])).stdout).toMatch(/^TYPE +FROM +MEANING\nstatic +core +The same value/);
  });

  test("a package that cannot be loaded is told, and is no reason to hide the others", async () => {
    const cwd = folder({
      "node_modules/postern-plugin-maps-odd/package.json": {
        name: "postern-plugin-maps-odd",
        type: "module",
        exports: "./index.js",
        postern: { tables: ["odd"] },
      },
      "node_modules/postern-plugin-maps-odd/index.js": 'throw new Error("broken");',
    });
    const types = JSON.parse((await table(cwd, ["list", "--json"])).stdout) as object[];
    expect(types).toContainEqual(expect.objectContaining({ type: "odd", error: expect.stringContaining("broken") }));
    expect(types).toContainEqual(expect.objectContaining({ type: "cdb" }));
    const asked = await table(cwd, ["query", "odd:x", "a"]);
    expect([asked.status, asked.stderr]).toEqual([78, expect.stringContaining("broken")]);
  });
});
