// Checks with tables in hand, and through a gateway where the changes are carried out. What Postfix does is in test/checks.
import {
  createMemoryBlob,
  createMessage,
  TableUnavailable,
  type MaybePromise,
  type ScanPart,
  type UsedTable,
} from "@postern/core";
import files from "@postern/plugin-maps-file";
import { createTestGateway, smtp } from "@postern/testkit";
import { describe, expect, it } from "vitest";
import { parseAction, type Place } from "./action.ts";
import { CheckTables } from "./check-tables.ts";
import { createChecks } from "./checks.ts";
import checks from "./index.ts";

type Lookup = (line: string) => MaybePromise<string | undefined>;

const table = (lookup: Lookup): UsedTable => ({ type: "fake", name: "it", kind: "pattern", trusted: true, lookup });
const asked = (lookup: Lookup | undefined, name = "x", place: Place = "header") =>
  new CheckTables(name, place, lookup === undefined ? [] : [table(lookup)]);

interface Given {
  readonly header?: Lookup;
  readonly mime?: Lookup;
  readonly nested?: Lookup;
  readonly body?: Lookup;
  readonly bodySizeLimit?: number;
  readonly signal?: AbortSignal;
}

function check(raw: string, { header, mime, nested, body, bodySizeLimit = 0, signal }: Given) {
  const set = {
    header: asked(header, "headerChecks"),
    mime: asked(mime, "mimeHeaderChecks"),
    nested: asked(nested, "nestedHeaderChecks"),
    body: asked(body, "bodyChecks", "body"),
    bodySizeLimit,
  };
  const message = createMessage(createMemoryBlob([Buffer.from(raw, "latin1")]));
  return createChecks(set)({ message, signal: signal ?? new AbortController().signal });
}

const edits = (answer: unknown): unknown[] =>
  (answer as readonly ScanPart[]).flatMap((part) => (part.kind === "edit" ? [part.edit] : []));

describe("what is asked", () => {
  const raw = [
    "Subject : a\r\n\tb  \r\n",
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "X-Latin: \xfc\r\nno field\r\nX-Utf8: \xc3\xbc\r\n\r\n",
    "preamble\r\n\r\n--b\r\nX-Part: 1\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n side\r\nContent-ID: x\r\n\r\ntext\r\n",
    "--b--cruft\r\nepilogue",
  ].join("");

  it.each([
    "boundary=a; boundary=b",
    "boundary=a; boundary*=utf-8''b",
    "boundary*0=a; boundary=b",
    "boundary=a\r\nContent-Type: multipart/mixed; boundary=b",
  ])("is what follows either boundary of %s, which mail programs read differently", async (boundaries) => {
    const seen: string[] = [];
    const mime: Lookup = (line) => void seen.push(line);
    const part = (name: string) => `--${name}\r\nContent-ID: ${name}\r\n\r\nx\r\n`;
    const head = `Content-Type: multipart/mixed; ${boundaries}\r\n\r\n`;
    await check(`${head}${part("a")}${part("b")}${part("a")}--b--\r\n${part("b")}${part("a")}--a--\r\n`, { mime });
    expect(seen.filter((line) => line.startsWith("Content-ID"))).toEqual(
      ["a", "b", "a", "a"].map((name) => `Content-ID: ${name}`),
    );
    const many = Array.from({ length: 11 }, (_, at) => `boundary=b${at}`).join("; ");
    expect(() => check(`Content-Type: multipart/mixed; ${many}\r\n\r\nx`, { mime })).toThrow(/more than 10 boundaries/);
  });

  it("is every field and every line that is not empty, each of its own tables", async () => {
    const seen: string[] = [];
    const note =
      (name: string): Lookup =>
      (line) =>
        void seen.push(`${name} ${line}`);
    const given = { header: note("header"), mime: note("mime"), nested: note("nested"), body: note("body") };
    await check(raw, given);
    expect(seen).toEqual([
      "header Subject: a\n\tb  ",
      "mime Content-Type: multipart/mixed; boundary=b",
      "header X-Latin: ü",
      "header X-Utf8: ü",
      "body preamble",
      "body --b",
      "mime X-Part: 1",
      "mime Content-Type: message/rfc822",
      "nested Subject: in\n side",
      "mime Content-ID: x",
      "body text",
      "body --b--cruft",
      "body epilogue",
    ]);
  });

  it.each([
    [1, []],
    [2, ["12345"]],
    [8, ["12345", "678"]],
    [0, ["12345", "678", "9"]],
  ])("of a body of which %i octets are wanted", async (bodySizeLimit, lines) => {
    const seen: string[] = [];
    await check("A: b\r\n\r\n12345\r\n678\r\n9\r\n", {
      bodySizeLimit,
      body: (line) => void seen.push(line),
    });
    expect(seen).toEqual(lines);
  });

  it("of a long line its pieces, whatever the piece", async () => {
    for (const length of [2046, 2047, 2048, 2049, 2050, 4096, 5000]) {
      const seen: number[] = [];
      await check(`A: b\r\n\r\n${"x".repeat(length)}\r\ny\r\n`, {
        body: (line) => void seen.push(line.length),
      });
      const whole = Array.from({ length: Math.floor(length / 2048) }, () => 2048);
      expect(seen).toEqual([...whole, ...(length % 2048 === 0 ? [] : [length % 2048]), 1]);
    }
  });

  it("of a field 65,536 octets at most", async () => {
    const seen: number[] = [];
    await check(`A: ${"x".repeat(900_000)}\r\n\r\n`, { header: (line) => void seen.push(line.length) });
    expect(seen).toEqual([65_536]);
  });
});

describe("the answer", () => {
  it("comes at once when only the header is asked about, and tables are in memory", () => {
    const answer = check("A: b\r\nB: c\r\n\r\nbody\r\n", {
      header: (line) => (line === "A: b" ? "WARN odd" : undefined),
    });
    expect(answer).toEqual([{ kind: "log", text: "warning: header A: b: odd" }]);
  });

  it("waits for tables elsewhere, line by line in their order", async () => {
    const seen: string[] = [];
    const slow: Lookup = async (line) => {
      seen.push(line);
      return line.startsWith("B") ? "REJECT 5.3.4 too odd" : undefined;
    };
    const answer = await check("A: b\r\nB: c\r\nC: d\r\n\r\nbody\r\n", { header: slow, body: slow });
    expect([answer, seen]).toEqual([
      [
        { kind: "log", text: "reject: header B: c" },
        { kind: "reject", reply: expect.objectContaining({ code: 550, enhanced: "5.3.4", text: "too odd" }) },
      ],
      ["A: b", "B: c"],
    ]);
  });

  it("of header edits goes from the bottom to the top, so that their counts stay right", () => {
    const values: Readonly<Record<string, string>> = {
      "A: 1": "IGNORE",
      "A: 2": "PREPEND A: above",
      "A: 3": "REPLACE B: other",
      "A: 4": "REPLACE a:same",
    };
    const answer = check("A: 1\r\nnot a field\r\nA: 2\r\nA: 3\r\nA: 4\r\n\r\n", { header: (line) => values[line] });
    const text = (value: string) => Buffer.from(value);
    expect(edits(answer)).toEqual([
      { kind: "replaceHeader", name: "a", nth: 4, value: text("same") },
      { kind: "insertHeader", index: 3, name: "B", value: text(" other") },
      { kind: "deleteHeader", name: "A", nth: 3 },
      { kind: "insertHeader", index: 2, name: "A", value: text(" above") },
      { kind: "deleteHeader", name: "A", nth: 1 },
    ]);
  });

  it("takes lines next to each other for one change", async () => {
    const lines = `${"x\r\n".repeat(200_000)}keep\r\nx\r\n`;
    const answer = await check(`A: b\r\n\r\n${lines}`, { body: (line) => (line === "x" ? "IGNORE" : undefined) });
    expect(edits(answer)).toEqual([
      { kind: "spliceBody", start: 0, end: 600_000, octets: Buffer.alloc(0) },
      { kind: "spliceBody", start: 600_006, end: 600_009, octets: Buffer.alloc(0) },
    ]);
  });

  it("has a bounded number of log lines, and says how many there were", async () => {
    const answer = await check(`A: b\r\n\r\n${"x\r\n".repeat(1000)}`, { body: () => "INFO" });
    expect((answer as readonly ScanPart[]).length).toBe(16);
    expect((answer as readonly ScanPart[]).at(-1)).toEqual({ kind: "log", text: "info: 985 more lines were found" });
  });

  it.each<[what: string, given: Given, raw: string, reason: string]>([
    ["a table that cannot be asked", { header: () => { throw new TableUnavailable("t", "gone"); } }, "A: b\r\n\r\n", "down"],
    ["one that says so later", { body: () => Promise.reject(new TableUnavailable("t", "gone")) }, "A: b\r\n\r\nx\r\n", "down"],
    ["a line that is too much for a pattern", { header: () => { throw new TableUnavailable("t", "too long", { onlyThisKey: true }); } }, "A: b\r\n\r\n", "unscannable"],
    ["a value that is no action", { header: () => "FORWARD it" }, "A: b\r\n\r\n", "error"],
    ["very many copies", { body: (line) => `BCC ${line}@example.test` }, `A: b\r\n\r\n${Array.from({ length: 21 }, (_, at) => `u${at}\r\n`).join("")}`, "unscannable"],
    ["more than a hundred multiparts within each other", { mime: () => undefined }, Array.from({ length: 102 }, (_, at) => `Content-Type: multipart/mixed; boundary=b${at}\r\n\r\n--b${at}\r\n`).join(""), "unscannable"],
    ["more changes than an answer can have", { header: () => "IGNORE" }, `${Array.from({ length: 10_001 }, (_, at) => `X-${at}: y\r\n`).join("")}\r\n`, "unscannable"],
    ["more changes of a body than memory is spent on", { body: (line) => (line === "x" ? "IGNORE" : undefined) }, `A: b\r\n\r\n${"x\r\ny\r\n".repeat(100_001)}`, "unscannable"],
    ["more octets of changes than that", { body: () => `REPLACE ${"y".repeat(1_000)}` }, `A: b\r\n\r\n${"x\r\n".repeat(17_000)}`, "unscannable"],
  ])("is none: %s", async (_, given, raw, reason) => {
    await expect((async () => check(raw, given))()).rejects.toMatchObject({ code: "SCANNER_FAILED", reason });
  }); // prettier-ignore

  it("is not waited for when the scan is called off", async () => {
    const controller = new AbortController();
    let lines = 0;
    const scanning = check(`A: b\r\n\r\n${"x\r\n".repeat(500_000)}`, {
      signal: controller.signal,
      body: () => {
        if (lines++ === 10) controller.abort();
        return undefined;
      },
    });
    await expect(scanning).rejects.toMatchObject({ code: "SCANNER_FAILED" });
    expect(lines).toBeLessThan(50_000);
  });
});

describe("an action", () => {
  it.each<[value: string, place: Place]>([
    ["", "body"],
    ["FORWARD x", "body"],
    ["REJECT 2.0.0 fine", "body"],
    ["REDIRECT nobody", "body"],
    ["BCC", "body"],
    ["FILTER nowhere", "body"],
    ["PREPEND", "body"],
    ["REPLACE", "body"],
    ["PREPEND no field", "header"],
    ["REPLACE : no name", "header"],
  ])("is not %j", (value, place) => {
    expect(() => parseAction(value, place)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });

  it.each([
    ["reject", "550 5.7.1 message content rejected"],
    ["REJECT  not this", "550 5.7.1 not this"],
    ["REJECT 5.1.2 that", "550 5.1.2 that"],
    ["REJECT 4.7.0 later", "451 4.7.0 later"],
  ])("%s", (value, said) => {
    const action = parseAction(value, "body");
    const reply = action.kind === "refuse" ? action.objection.reply : undefined;
    expect(`${reply?.code} ${reply?.enhanced} ${reply?.text}`).toBe(said);
  });
});

describe("in a gateway", () => {
  const start = (rules: Readonly<Record<string, readonly string[]>>) =>
    createTestGateway(
      { domains: { relay: ["example.test"] }, relayhost: "[127.0.0.1]:2526" },
      {
        plugins: [
          files,
          [checks, { onError: "defer", bodyChecksSizeLimit: 0, ...Object.fromEntries(Object.entries(rules).map(([key, all]) => [key, [{ type: "pcre", rules: all }]])) }],
        ],
      },
    ); // prettier-ignore
  const send = (gateway: Awaited<ReturnType<typeof start>>, content: string): PromiseLike<string> =>
    smtp(gateway)
      .say("MAIL FROM:<a@source.test>")
      .say("RCPT TO:<b@example.test>")
      .say("DATA")
      .expect(/^354/)
      .raw(Buffer.from(`${content}.\r\n`, "latin1"))
      .read();

  it("a value in memory that is no action is a mistake of the config", async () => {
    const given = {
      onError: "defer",
      bodyChecks: ["inline:{ spam=REJECT, { ham = FORWARD it } }"],
    };
    await expect(createTestGateway({}, { plugins: [[checks, given]] })).rejects.toThrow(
      /bodyChecks: .*key "ham": "FORWARD" is no action/,
    );
  });

  it("without onError there is no start", async () => {
    await expect(createTestGateway({}, { plugins: [[checks, {}]] })).rejects.toThrow(/"onError" is missing/);
  });

  it("thirteen thousand lines that are changed become fewer splices, and the same body", async () => {
    await using gateway = await start({ bodyChecks: ["/^drop/ IGNORE", "/^change (\\d+)/ REPLACE changed $1"] });
    // Far apart now and then, so that they do not become one.
    const body = Array.from({ length: 20_000 }, (_, at) => {
      const gap = at % 5_000 === 2_999 ? "keep\r\n".repeat(2_000) : "";
      return `${gap}${at % 3 === 0 ? "drop" : at % 3 === 1 ? "change" : "keep"} ${at}`;
    });
    const lines = body.join("\r\n").split("\r\n");
    const reply = await send(gateway, `Subject: x\r\n\r\n${lines.join("\r\n")}\r\n`);
    expect(reply).toMatch(/^250 /);
    const [delivery] = await gateway.delivered(1);
    const expected = lines.filter((text) => !text.startsWith("drop")).map((text) => text.replace("change", "changed"));
    const text = delivery?.content.toString() ?? "";
    expect(text.slice(text.indexOf("\r\n\r\n") + 4) === `${expected.join("\r\n")}\r\n`).toBe(true);
  });

  it("a message in a file is changed where it is large, too", async () => {
    await using gateway = await start({ bodyChecks: ["/^change/ REPLACE changed", "/^drop/ IGNORE"] });
    const block = `${"keep this line as it is\r\n".repeat(4_000)}change\r\ndrop\r\n`;
    const reply = await send(gateway, `Subject: x\r\n\r\n${block.repeat(40)}`);
    expect(reply).toMatch(/^250 /);
    const [delivery] = await gateway.delivered(1);
    const text = delivery?.content.toString() ?? "";
    const expected = block.replace("change\r\ndrop\r\n", "changed\r\n").repeat(40);
    expect(text.slice(text.indexOf("\r\n\r\n") + 4) === expected).toBe(true);
  });

  it("what a pattern took from an 8-bit line comes back in the same octets", async () => {
    await using gateway = await start({
      headerChecks: ["/^Subject: (.*)/ REPLACE X-Was: $1"],
      bodyChecks: ["/^is (.*)/ REPLACE was $1"],
    });
    await send(gateway, "Subject: \xfcber\r\n\r\nis \xfc\r\nis \xc3\xbc\r\n");
    const [delivery] = await gateway.delivered(1);
    const content = delivery?.content.toString("latin1") ?? "";
    expect(content.slice(content.indexOf("X-Was"))).toBe("X-Was: \xfcber\r\n\r\nwas \xfc\r\nwas \xc3\xbc\r\n");
  });
});
