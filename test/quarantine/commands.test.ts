// The quarantine as an operator has it: a running gateway, its commands, its log, a restart, and what is there when it does not run.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSink, type Sink } from "@postern/testkit";
import type { QuarantinedMessage, QuarantineListing } from "@postern/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command, startGateway, type GatewayProcess } from "../e2e/gateway.ts";
import { trickyMessage, withoutTrace } from "../e2e/mail.ts";
import { run } from "../e2e/run.ts";
import { until } from "../e2e/until.ts";
import { temporaryFolder } from "../services/folder.ts";
import { isolatingGateway, postern, posternJson, send } from "./world.ts";

const isolated = (subject: string, reason: string, body = "body"): string =>
  [
    "From: Mallory <mallory@source.test>",
    `Subject: ${subject}`,
    "Date: Sun, 22 Nov 2026 12:00:00 +0000",
    `Message-ID: <${subject.length}@source.test>`,
    `X-Isolate: ${reason}`,
    "",
    `${body}\r\n`,
  ].join("\r\n");

describe("postern quarantine", () => {
  let sink: Sink;
  let gateway: GatewayProcess;
  let folder: ReturnType<typeof temporaryFolder>;
  let options: Parameters<typeof startGateway>[0];

  beforeAll(async () => {
    sink = await createSink();
    folder = temporaryFolder();
    options = { ...isolatingGateway(sink.nextHop), folder: folder.path };
    gateway = await startGateway(options);
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await sink.close();
    folder[Symbol.dispose]();
  });

  const quarantine = (...args: string[]) => postern(gateway, "quarantine", ...args);
  const list = (...args: string[]) => posternJson<QuarantineListing[]>(gateway, "quarantine", "list", ...args);
  const idsOf = (listed: readonly QuarantineListing[]) => listed.map(({ id }) => id);
  const arrived = (subject: string) =>
    sink.transactions.find(({ content }) => content.includes(`Subject: ${subject}\r\n`));

  it("list, show and the log tell what was put aside and why; none of it is delivered", async () => {
    expect((await quarantine("list")).stdout).toBe("Nothing is in the quarantine that fits\n");
    const first = await send(
      gateway.port,
      ["one@example.test", "two@example.test"],
      isolated("first", "infected: Eicar"),
    );
    const second = await send(gateway.port, "three@example.test", isolated("=?utf-8?Q?zweite_R=C3=BCge?=", "spam"));
    expect(idsOf(await list())).toEqual([second, first]);
    const text = await quarantine("list");
    expect(text.stdout).toMatch(/^ID +PUT ASIDE +EXPIRES +SIZE +SENDER +RECIPIENTS +SUBJECT +REASON\n/);
    expect(text.stdout).toMatch(
      new RegExp(`${first} .*<sender@source\\.test> +<one@example\\.test> and 1 more +first +infected: Eicar\n`),
    );
    for (const [filter, expected] of [
      [["--reason", "eicar"], [first]],
      [["--to", "three@"], [second]],
      [
        ["--from", "mallory"],
        [second, first],
      ],
      [["--subject", "zweite rüge"], [second]],
      [["--since", "1h", "--limit", "1"], [second]],
      [["--until", "2026-01-01"], []],
    ] as const) {
      expect(idsOf(await list(...filter)), filter.join(" ")).toEqual(expected);
    }
    const shown = await quarantine("show", first);
    expect(shown.stdout).toMatch(
      new RegExp(
        `^id: ${first}\nreason: infected: Eicar\nput aside: .*Z\nexpires: .*Z\nsize: \\d+\nsender: <sender@source`,
      ),
    );
    expect(shown.stdout).toContain("\nX-Isolate: infected: Eicar\n");
    expect(shown.stdout).not.toContain("\nbody");
    const json = await posternJson<QuarantinedMessage>(gateway, "quarantine", "show", first);
    expect(json.envelope.recipients).toHaveLength(2);
    expect(gateway.log()).toMatch(
      new RegExp(
        `^${first}: quarantine: END-OF-MESSAGE from .*: infected: Eicar; from=<sender@source\\.test> size=`,
        "m",
      ),
    );
    const why = await postern(gateway, "why", first, "--log", "gateway.log");
    expect([why.status, why.stdout]).toEqual([0, expect.stringContaining("quarantine: END-OF-MESSAGE")]);
    expect(await posternJson(gateway, "status")).toMatchObject({
      queue: { messages: 0 },
      quarantine: { messages: 2, added: 2 },
    });
    expect(sink.transactions).toEqual([]);
  });

  it("--raw is the message, octet by octet, large ones too", async () => {
    const tricky = trickyMessage("raw", "one@example.test");
    const [head = "", ...rest] = tricky.toString("latin1").split("\r\nMIME-Version");
    const large = Buffer.from(
      `${head}\r\nX-Isolate: raw\r\nMIME-Version${rest.join("")}${"long line\r\n".repeat(600_000)}`,
      "latin1",
    );
    const id = await send(gateway.port, "one@example.test", large);
    const { status, stdout } = await run(
      process.execPath,
      ["--conditions=@postern/source", command, "quarantine", "show", id, "--raw"],
      { cwd: folder.path },
    );
    expect(status).toBe(0);
    expect(withoutTrace(Buffer.from(stdout, "latin1")).equals(large)).toBe(true);
    expect(await quarantine("delete", id)).toMatchObject({ status: 0, stdout: "Deleted: 1\n" });
    expect(await quarantine("show", id, "--raw")).toMatchObject({ status: 65, stdout: "" });
  });

  it("what is released comes as it was, through a restart; what is deleted never", async () => {
    const released = await send(
      gateway.port,
      ["one@example.test", "two@example.test"],
      isolated("go", "to be released", "..\r\n."),
    );
    const deleted = await send(gateway.port, "one@example.test", isolated("gone", "to be deleted"));
    const before = await list();
    await gateway.stop();
    gateway = await startGateway({ ...options, port: gateway.port });
    expect(gateway.log()).toContain("quarantine: 4 put aside");
    expect(await list()).toEqual(before);
    expect(await posternJson(gateway, "quarantine", "release", released)).toEqual({
      done: [released],
      failed: [],
      queued: [{ id: released, queueId: released }],
    });
    expect(await quarantine("delete", deleted)).toMatchObject({ status: 0, stdout: "Deleted: 1\n" });
    await until(() => arrived("go") !== undefined);
    expect(
      arrived("go")
        ?.rcpt.map((line) => /<(.*?)>/.exec(line)?.[1])
        .toSorted(),
    ).toEqual(["one@example.test", "two@example.test"]);
    const sent = Buffer.from(isolated("go", "to be released", "..\r\n."), "latin1");
    expect(withoutTrace(arrived("go")?.content ?? Buffer.alloc(0)).equals(sent)).toBe(true);
    await until(() => gateway.log().includes(`${released}: removed`));
    expect(gateway.log()).toContain(`${released}: quarantine: released, to=<one@example.test>,<two@example.test>\n`);
    await until(() => gateway.log().includes(`${deleted}: quarantine: deleted by the operator\n`));
    for (const id of [released, deleted, "nothing"]) {
      const again = await quarantine("release", id);
      expect([again.status, again.stderr]).toEqual([65, `postern: no message ${id} is in the quarantine\n`]);
    }
    expect(arrived("gone")).toBeUndefined();
  });

  it("many at once by filters, to somebody else, and only when that is meant", async () => {
    for (const number of [1, 2, 3]) await send(gateway.port, "four@example.test", isolated(`batch ${number}`, "batch"));
    expect(await quarantine("release")).toMatchObject({ status: 64 });
    expect(await quarantine("delete", "--all", "--reason", "batch")).toMatchObject({
      status: 64,
      stderr: expect.stringContaining("say --yes"),
    });
    expect(await quarantine("release", "x", "--reason", "batch")).toMatchObject({ status: 64 });
    expect((await quarantine("release", "--all", "--subject", "batch 1", "--yes", "--to", "nobody")).stderr).toContain(
      '"nobody" is no address',
    );
    const acted = await quarantine(
      "release",
      "--all",
      "--subject",
      "BATCH",
      "--for",
      "four@",
      "--yes",
      "--to",
      "desk@example.test",
    );
    expect(acted).toMatchObject({ status: 0, stdout: "Released: 3\n" });
    await until(() => [1, 2, 3].every((number) => arrived(`batch ${number}`) !== undefined));
    expect(arrived("batch 2")?.rcpt).toEqual([expect.stringContaining("<desk@example.test>")]);
    const left = await list();
    expect(left.map(({ reason }) => reason)).toEqual(["spam", "infected: Eicar"]);
    expect(await quarantine("delete", "--all", "--yes")).toMatchObject({ status: 0, stdout: "Deleted: 2\n" });
    expect(await list()).toEqual([]);
  });

  it("for some recipients only: they are put aside under an id of their own, the others have it", async () => {
    const id = await send(gateway.port, ["good@example.test", "bad-one@example.test"], "Subject: split\r\n\r\nx\r\n");
    await until(() => arrived("split") !== undefined);
    expect(arrived("split")?.rcpt).toEqual([expect.stringContaining("<good@example.test>")]);
    const [aside] = await list("--subject", "split");
    expect(aside).toMatchObject({ recipients: ["bad-one@example.test"], reason: expect.stringContaining(id) });
    expect(aside?.id).not.toBe(id);
    await quarantine("release", aside?.id ?? "");
    await until(() => sink.transactions.filter(({ content }) => content.includes("Subject: split\r\n")).length === 2);
    expect(sink.transactions.at(-1)?.rcpt).toEqual([expect.stringContaining("<bad-one@example.test>")]);
  });

  it("explain says that it would be put aside, and puts nothing aside", async () => {
    writeFileSync(join(folder.path, "mail.eml"), isolated("explained", "because"));
    const explained = await postern(
      gateway,
      "explain",
      "--client",
      "127.0.0.1",
      "--from",
      "a@source.test",
      "--to",
      "b@example.test",
      "--message",
      "mail.eml",
      "--live",
    );
    expect(explained.stdout).toContain("quarantine: because");
    expect(await list()).toEqual([]);
  });

  it("without a gateway: one sentence; verify and salvage know its folder, and which one is damaged", async () => {
    await send(gateway.port, "one@example.test", isolated("kept", "kept for good", "unmistakable"));
    expect(await quarantine("verify")).toMatchObject({
      status: 75,
      stderr: expect.stringMatching(/^postern: a gateway is running on the quarantine in \S+quarantine; stop it first/),
    });
    await gateway.stop();
    expect(await quarantine("list")).toMatchObject({
      status: 69,
      stderr: expect.stringContaining("no gateway is running"),
    });
    expect((await quarantine("verify")).stdout).toMatch(/^1 messages in \S+quarantine\n[\s\S]*no damage\n$/);
    const log = join(folder.path, "quarantine", "log");
    const found = readdirSync(log)
      .map((name) => join(log, name))
      .find((path) => readFileSync(path).includes("unmistakable"));
    const octets = readFileSync(found ?? "");
    octets[octets.indexOf("unmistakable")] = 0;
    writeFileSync(found ?? "", octets);
    expect(await quarantine("verify")).toMatchObject({
      status: 70,
      stderr: expect.stringContaining("postern quarantine salvage saves what can be read"),
    });
    expect(await postern(gateway, "queue", "verify")).toMatchObject({ status: 0 });
    expect(await quarantine("salvage")).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("0 messages in the quarantine"),
    });
    expect(await quarantine("verify")).toMatchObject({ status: 0 });
  });
});
