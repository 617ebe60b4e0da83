// The commands as an operator has them: statuses, two configs compared, a corpus, and decisions found again in a real log.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gzipSync } from "node:zlib";
import type { Explained } from "@postern/core";
import { runCommand } from "postern";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dial } from "../e2e/dialogue.ts";
import { command, startGateway, type GatewayProcess } from "../e2e/gateway.ts";
import { run } from "../e2e/run.ts";
import { freePort } from "../services/ports.ts";
import { until } from "../e2e/until.ts";
import { folder, plain } from "./world.ts";

const config = {
  ...plain,
  plugins: [...plain.plugins, ["@postern/plugin-greylist", { delay: "1s" }]],
  policy: {
    showDecision: true,
    mail: ["check_sender_access texthash:./senders"],
    rcpt: ["permit_mynetworks", "reject_unauth_destination", "reject_unlisted_recipient", "greylist"],
  },
};
const senders = "spam.test REJECT go away\n";

let gateway: GatewayProcess;

beforeAll(async () => {
  const port = await freePort();
  gateway = await startGateway({
    port,
    config: { ...config, listeners: [{ name: "mx", host: "127.0.0.1", port, xclient: ["127.0.0.1"] }] },
    files: { senders },
  });
});
afterAll(() => gateway[Symbol.asyncDispose]());

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function postern(args: readonly string[], cwd: string, input = ""): Promise<Ended> {
  let out = "";
  let err = "";
  const output = { write: (text: string) => void (out += text), warn: (text: string) => void (err += text) };
  const lines = (async function* () {
    yield Buffer.from(input);
  })();
  try {
    const status = await runCommand(args, { cwd, output, input: lines });
    return { status, out, err };
  } catch (error) {
    return { status: -1, out, err: `${err}${(error as Error).message}` };
  }
}

const stranger = ["--client", "192.0.2.1=client.test", "--from", "a@b.test"];

/** One RCPT as that stranger; its reply. */
async function mail(from: string, to: string): Promise<string> {
  using smtp = await dial(gateway.port);
  await smtp.say("EHLO proxy.test");
  await smtp.say("XCLIENT NAME=client.test ADDR=192.0.2.1");
  await smtp.say("EHLO client.test");
  await smtp.say(`MAIL FROM:<${from}>`);
  return await smtp.say(`RCPT TO:<${to}>`);
}

describe("explain", () => {
  test.for<[to: string, client: readonly string[], status: number]>([
    ["user@example.test", ["--client", "127.0.0.1", "--from", "a@b.test"], 0],
    ["nobody@example.test", stranger, 77],
    ["user@example.test", stranger, 75],
    ["x@elsewhere.test", stranger, 77],
  ])("%s for %j is status %i", async ([to, client, status]) => {
    const cwd = folder({ "postern.config.json": JSON.stringify(config), senders });
    expect((await postern(["explain", ...client, "--to", to], cwd)).status).toBe(status);
  });

  test("as a program, for people: no line is wider than 100 columns, and words, keys and replies are there", async () => {
    const cwd = folder({ "postern.config.json": JSON.stringify(config), senders });
    const args = ["--conditions=@postern/source", command, "explain", ...stranger.slice(0, 2), "--from", "x@spam.test"];
    const ended = await run(process.execPath, [...args, "--to", "user@example.test", "--to", "n@example.test"], {
      cwd,
    });
    expect([ended.status, ended.stderr]).toEqual([77, ""]);
    const text = Buffer.from(ended.stdout, "latin1").toString();
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(text).toMatch(/^REFUSED {2}client\.test\[192\.0\.2\.1\], not in networks, listener mx\n/);
    expect(text).toMatch(/policy\.mail\[0\] +check_sender_access texthash:\.\/senders +REJECT/);
    expect(text).toMatch(/texthash:\.\/senders key spam\.test → REJECT go away\s+\(\S*senders:1\)/);
    expect(text).toMatch(/\n {3}rcpt +4 words not reached\n/);
    expect(text).toMatch(/\nS: 554 5\.7\.1 <x@spam\.test>: Sender address rejected: go away/);
  });

  test("--diff tells what a change would change, and nothing else", async () => {
    const other = { ...config, policy: { ...config.policy, rcpt: ["permit_mynetworks", "reject_unlisted_recipient"] } };
    const cwd = folder({
      "postern.config.json": JSON.stringify(config),
      "other.json": JSON.stringify(other),
      senders,
    });
    const question = [...stranger, "--to", "user@example.test", "--diff", "other.json"];
    const ended = await postern(["explain", ...question], cwd);
    expect(ended.status).toBe(1);
    expect(ended.out).toMatch(/\nverdict\ndeferred {42}accepted\n/);
    expect(ended.out).toMatch(/\nuser@example\.test: decided by\ngreylist \(policy\.rcpt\[3\]\) {25}-\n/);
    expect(ended.out).toMatch(/\nroutes\n- {49}user@example\.test → smtp \[127\.0\.0\.1\]:2526\n/);
    const same = await postern(
      ["explain", ...stranger, "--to", "n@example.test", "--diff", "postern.config.json"],
      cwd,
    );
    expect([same.status, same.out]).toEqual([0, "both say the same: refused\n"]);
  });

  test("--cases runs a corpus, holds expectations, and shows what another config changes", async () => {
    // Of a type whose tables are closed with their generation: the whole corpus asks the same one.
    const followed = { ...config, policy: { ...config.policy, mail: ["check_sender_access hash:./senders"] } };
    const other = { ...config, policy: { rcpt: ["reject"] } };
    const cases = [
      { name: "ours", client: "127.0.0.1", from: "a@b.test", to: "user@example.test", expect: "accepted" },
      { client: "192.0.2.1", from: "a@b.test", to: ["n@example.test", "x@y.test"], expect: "refused" },
      { name: "wrong", client: "192.0.2.1", from: "a@b.test", to: "user@example.test", expect: "accepted" },
    ];
    const cwd = folder({
      "postern.config.json": JSON.stringify(followed),
      "other.json": JSON.stringify(other),
      "cases.jsonl": `# a corpus\n${cases.map((one) => JSON.stringify(one)).join("\n")}\n`,
      "broken.jsonl": '{"client":"192.0.2.1","form":"a@b.test"}\n',
      senders,
    });
    const ended = await postern(["explain", "--cases", "cases.jsonl"], cwd);
    expect(ended.status).toBe(1);
    expect(ended.out.split("\n")).toEqual([
      "ours: accepted  250 2.1.5 Ok",
      expect.stringMatching(/cases\.jsonl:3: refused {2}550 5\.1\.1 /),
      expect.stringMatching(/^wrong: deferred, not accepted {2}450 4\.7\.1 /),
      "3 cases: 1 not as expected",
      "",
    ]);
    const compared = await postern(["explain", "--cases", "cases.jsonl", "--diff", "other.json"], cwd);
    expect(compared.out).toMatch(/^ours: accepted \| refused\n/);
    expect(compared.out).toMatch(/\n3 cases: 3 differ\n$/);
    const json = await postern(["explain", "--cases", "cases.jsonl", "--json"], cwd);
    expect(
      json.out
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { verdict: string }).verdict),
    ).toEqual(["accepted", "refused", "deferred"]);
    expect((await postern(["explain", "--cases", "broken.jsonl"], cwd)).err).toMatch(
      /broken\.jsonl:1: form is not a known key; did you mean "from"\?$/m,
    );
  });

  test.for<[what: string, args: readonly string[], message: RegExp]>([
    ["no IP address", ["--client", "example.test", "--from", "a@b", "--to", "c@d"], /"example\.test" is no IP address/],
    ["no recipient", ["--client", "192.0.2.1", "--from", "a@b"], /say --client IP\[=name\], --from and --to/],
    ["a line end", ["--client", "192.0.2.1", "--from", "a@b\r\nDATA", "--to", "c@d"], /has no line end in it/],
    [
      "no such file",
      ["--client", "192.0.2.1", "--from", "a@b", "--to", "c@d", "--message", "no"],
      /no cannot be read: ENOENT/,
    ],
  ])("%s is said", async ([, args, message]) => {
    const cwd = folder({ "postern.config.json": JSON.stringify(config), senders });
    expect((await postern(["explain", ...args], cwd)).err).toMatch(message);
  });

  test("reads the state of the running gateway and leaves no trace in it", async () => {
    const question = ["explain", ...stranger, "--to", "user@example.test", "--json"];
    const verdict = async () => (JSON.parse((await postern(question, gateway.folder)).out) as Explained).verdict;
    const entries = (): number => {
      using database = new DatabaseSync(join(gateway.folder, "state/state.sqlite"), { readOnly: true });
      return (database.prepare("SELECT count(*) AS count FROM entries").get() as { count: number }).count;
    };
    const before = entries();
    expect(await verdict()).toBe("deferred");
    expect(entries()).toBe(before);
    // Explaining did not begin the wait; the client itself does.
    expect(await mail("a@b.test", "user@example.test")).toMatch(/^450 4\.7\.1 /);
    await until(() => entries() > before);
    const known = entries();
    await until(async () => (await verdict()) === "accepted");
    expect(entries()).toBe(known);
  });
});

describe("why", () => {
  test("finds a decision of the real log, who made it, and whether the config still says so", async () => {
    const reply = await mail("x@spam.test", "user@example.test");
    const id = /\[d=(\w+)\]$/.exec(reply)?.[1] ?? "";
    expect(reply).toMatch(/^554 5\.7\.1 .* \[d=\w{13}\]$/);
    const log = join(gateway.folder, "gateway.log");
    await until(() => gateway.log().includes(id));
    const found = await postern(["why", id, "--log", log], gateway.folder);
    expect(found.status).toBe(0);
    expect(found.out.split("\n")).toEqual(
      expect.arrayContaining([
        `decision    ${id}`,
        "client      client.test[192.0.2.1]",
        "from        <x@spam.test>",
        "to          <user@example.test>",
        "refused at  RCPT",
        "reply       554 5.7.1 <x@spam.test>: Sender address rejected: go away",
        "decided by  check_sender_access of plugin access",
        "in          policy.mail[0]",
        "table       texthash:./senders, key spam.test",
        expect.stringMatching(/^config {6}\S+ still says so$/),
      ]),
    );
    const now = await postern(["why", id, "--log", log, "--now"], gateway.folder);
    expect(now.out).toMatch(/\nNow: REFUSED {2}client\.test\[192\.0\.2\.1\]/);

    // The same from what the log was rotated to, from a pipe, and with another config.
    const text = gateway.log();
    const changed = { ...config, policy: { mail: ["permit_mynetworks"] } };
    const cwd = folder({ "postern.config.json": JSON.stringify(changed), "mail.log": "nothing\n", senders });
    writeFileSync(join(cwd, "mail.log.2.gz"), gzipSync(text));
    const rotated = await postern(["why", id, "--log", "mail.log"], cwd);
    expect(rotated.out).toMatch(/\nconfig {6}\S+ has changed: policy\.mail\[0\] is "permit_mynetworks" now\n/);
    const piped = await postern(
      ["why", id, "--json"],
      cwd,
      JSON.stringify({ level: "info", line: text.split("\n").find((line) => line.includes(id)) }),
    );
    expect(JSON.parse(piped.out)).toMatchObject({ id, decisions: [{ decision: id, place: { holds: false } }] });
    expect(await postern(["why", "nosuchdecision", "--log", "mail.log"], cwd)).toMatchObject({ status: 1 });
    expect((await postern(["why", "a b"], cwd)).err).toMatch(/"a b" is no id/);
  });

  test("--now asks the listener whose own list refused", async () => {
    const printers = { name: "printers", host: "127.0.0.1", port: 0, policy: { rcpt: ["reject"] } };
    const cwd = folder({
      "postern.config.json": JSON.stringify({ ...config, listeners: [...plain.listeners, printers] }),
      senders,
    });
    const line =
      "NOQUEUE: reject: RCPT from c.test[192.0.2.1]: 554 5.7.1 no; from=<a@b.test> to=<user@example.test> d=SomeDecision by=rcpt path=<listeners[1].policy.rcpt[0]> word=<reject> plugin=<access>";
    const now = await postern(["why", "SomeDecision", "--now"], cwd, line);
    expect(now.out).toMatch(/\nNow: REFUSED {2}c\.test\[192\.0\.2\.1\], not in networks, listener printers\n/);
  });

  test("every refusal of a session has its own id, and each is found", async () => {
    for (const [to, decider] of [
      ["x@elsewhere.test", "reject_unauth_destination of plugin access"],
      ["n@example.test", "reject_unlisted_recipient of plugin access"],
      ["new@example.test", "reject_unlisted_recipient of plugin access"],
    ] as const) {
      const id = /\[d=(\w+)\]$/.exec(await mail("a@b.test", to))?.[1] ?? "none";
      await until(() => gateway.log().includes(id));
      const found = await postern(["why", id], gateway.folder, gateway.log());
      expect(found.out).toContain(`decided by  ${decider}\n`);
    }
  });

  test("a message's id shows its lines", async () => {
    using smtp = await dial(gateway.port);
    await smtp.say("EHLO client.test");
    await smtp.say("MAIL FROM:<a@b.test>");
    await smtp.say("RCPT TO:<user@example.test>");
    const id = /queued as (\w+)/.exec(await smtp.data())?.[1] ?? "";
    await until(() => gateway.log().includes(`${id}: client=`));
    const found = await postern(["why", id], gateway.folder, gateway.log());
    expect(found.out).toMatch(new RegExp(`^${id} in the log:\\n.*${id}: client=localhost`));
  });
});
