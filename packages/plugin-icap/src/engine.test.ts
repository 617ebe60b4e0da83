// The engine against a scripted ICAP server on a real socket: every answer, every cut, and what is sent when.
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { ScannerFailure, systemClock, type Blob, type Message } from "@postern/core";
import { sampleMessage, sampleSession, sampleTransaction } from "@postern/testkit";
import { afterEach, describe, expect, test, vi } from "vitest";
import { parseAddress, type IcapAddress } from "./address.ts";
import { createEngine, type Engine } from "./engine.ts";
import { revealHeaders } from "./further-headers.ts";
import { options, type Options } from "./options.ts";

/** A request as the server reads it. */
interface Asked {
  readonly head: string;
  readonly inside: string;
  /** Octets of the body so far. */
  body: Buffer;
  /** The preview ended with `ieof`. */
  ieof: boolean;
}

interface Script {
  /** The answer to OPTIONS; 204 allowed and no preview by default. `undefined`: none. */
  readonly options?: string | undefined;
  /** When the head has come; true: the body is not waited for. */
  readonly onHead?: (socket: Socket, asked: Asked, left: Buffer) => boolean | undefined;
  /** At the first end of chunks: of the preview, or of all. */
  readonly onEnd: (socket: Socket, asked: Asked) => void;
  /** At the end of what follows a preview. */
  readonly onRest?: (socket: Socket, asked: Asked) => void;
}

interface FakeServer {
  readonly address: IcapAddress;
  readonly asked: Asked[];
  optionsAsked: number;
  connections: number;
  open: number;
}

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const call of cleanUp.splice(0).toReversed()) await call();
});

const optionsAnswer = (...lines: readonly string[]): string =>
  ["ICAP/1.0 200 OK", "Methods: RESPMOD", 'ISTag: "one"', ...lines, "Encapsulated: null-body=0", "", ""].join("\r\n");

async function startFake(script: Script): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    fake.connections += 1;
    fake.open += 1;
    socket.on("close", () => (fake.open -= 1));
    socket.on("error", () => undefined);
    let got = Buffer.alloc(0);
    let asked: Asked | undefined;
    let ends = 0;
    const step = (): boolean => {
      if (asked === undefined) {
        const end = got.indexOf("\r\n\r\n");
        if (end < 0) return false;
        const head = got.toString("latin1", 0, end + 4);
        if (head.startsWith("OPTIONS")) {
          got = got.subarray(end + 4);
          fake.optionsAsked += 1;
          const said = "options" in script ? script.options : optionsAnswer("Allow: 204");
          if (said !== undefined) socket.write(said);
          return true;
        }
        const length = Number(/body=(\d+)/.exec(head)?.[1]);
        if (got.length < end + 4 + length) return false;
        const inside = got.toString("latin1", end + 4, end + 4 + length);
        got = got.subarray(end + 4 + length);
        asked = { head, inside, body: Buffer.alloc(0), ieof: false };
        ends = 0;
        fake.asked.push(asked);
        if (script.onHead?.(socket, asked, got) === true) {
          socket.removeAllListeners("data");
          return false;
        }
        return true;
      }
      const line = got.indexOf("\r\n");
      if (line < 0) return false;
      const text = got.toString("latin1", 0, line);
      const size = parseInt(text, 16);
      if (got.length < line + 2 + size + 2) return false;
      asked.body = Buffer.concat([asked.body, got.subarray(line + 2, line + 2 + size)]);
      got = got.subarray(line + 2 + size + 2);
      if (size > 0) return true;
      asked.ieof = text.includes("ieof");
      ends += 1;
      const isPreview = ends === 1 && /^Preview:/m.test(asked.head);
      const done = asked;
      if (!isPreview || script.onRest === undefined || asked.ieof) asked = undefined;
      if (ends === 1) script.onEnd(socket, done);
      else script.onRest?.(socket, done);
      return true;
    };
    socket.on("data", (data) => {
      got = Buffer.concat([got, data]);
      while (step());
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const address = parseAddress(`icap://127.0.0.1:${port}/scan`) as IcapAddress;
  const fake: FakeServer = { address, asked: [], optionsAsked: 0, connections: 0, open: 0 };
  cleanUp.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return fake;
}

function engineFor(
  servers: FakeServer | readonly IcapAddress[],
  given: Partial<Parameters<typeof createEngine>[1]> = {},
  failed: (point: string, error: unknown) => void = () => undefined,
): Engine {
  const settings = options.parse({ address: "icap://127.0.0.1/x" });
  const addresses = "asked" in servers ? [servers.address] : servers;
  const engine = createEngine(
    addresses,
    { ...settings, headers: {}, ...given },
    { hostname: "mx.example.test", clock: systemClock, failed },
  );
  cleanUp.push(() => engine.close());
  return engine;
}

function ask(engine: Engine, message: Message = sampleMessage(), signal = new AbortController().signal) {
  return engine.scan({ message, session: sampleSession(), transaction: sampleTransaction({ id: "Q1" }), signal });
}

const tell = async (answer: unknown): Promise<string> => {
  try {
    const said = (await answer) as
      { kind: string; reply?: { text: string }; text?: string; value?: string } | undefined;
    if (said === undefined) return "clean";
    return `${said.kind} ${said.reply?.text ?? said.text ?? said.value}`;
  } catch (error) {
    expect(error).toBeInstanceOf(ScannerFailure);
    return `fails ${(error as ScannerFailure).reason}`;
  }
};

/** An answer with an HTTP response inside. */
const page = (http: string, body: string | undefined, ...lines: readonly string[]): string => {
  const inside = `${http}\r\nContent-Type: text/plain\r\n\r\n`;
  const encapsulated = `res-hdr=0, ${body === undefined ? "null" : "res"}-body=${inside.length}`;
  const chunks = body === undefined ? "" : `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  return `${["ICAP/1.0 200 OK", ...lines, `Encapsulated: ${encapsulated}`, "", ""].join("\r\n")}${inside}${chunks}`;
};
const content = "Subject: x\r\n\r\nhello\r\n";
const blocked = page("HTTP/1.1 403 Forbidden", "no");
const infected = (name: string): string => `X-Infection-Found: Type=0; Resolution=2; Threat=${name};`;
const chunked = (chunks: string): string => page("HTTP/1.1 200 OK", "").replace("0\r\n\r\n0\r\n\r\n", chunks);

describe("answers to RESPMOD", () => {
  test.each<[answer: string, expected: string]>([
    ["ICAP/1.0 204 No Content\r\n\r\n", "clean"],
    ['ICAP/1.0 204 Unmodified\r\nISTag: "one"\r\nEncapsulated: null-body=0\r\n\r\n', "clean"],
    ["ICAP/1.0 204 No Content\r\nX-Violations-Found: 0\r\n\r\n", "clean"],
    ["ICAP/1.0 204 No Content\nServer: bare line ends\n\n", "clean"],
    // Modified is as it was.
    [page("HTTP/1.1 200 OK", content), "clean"],
    [chunked("3;x=y\r\nSub\r\n12\r\nject: x\r\n\r\nhello\r\n\r\n0\r\nTrailer: 1\r\n\r\n"), "clean"],
    [
      chunked(`14\r\nSubject: x\r\n\r\nhello\r\n`.replace("14", "15") + `\r\n0\r\n${infected("Late")}\r\n\r\n`),
      "reject infected: Late",
    ],
    // Found, in the fields of the draft and of makers.
    [`ICAP/1.0 200 OK\r\n${infected("Eicar-Test")}\r\n`, "fails down"],
    [`ICAP/1.0 200 OK\r\n${infected("Eicar-Test")}\r\n\r\n`, "reject infected: Eicar-Test"],
    [`ICAP/1.0 204 No Content\r\n${infected("Odd.204")}\r\n\r\n`, "reject infected: Odd.204"],
    [`ICAP/1.0 201 Created\r\n${infected("Repaired")}\r\n\r\n`, "reject infected: Repaired"],
    ["ICAP/1.0 200 OK\r\nX-Infection-Found: Type=1; Resolution=0; Threat=Policy\r\n\r\n", "reject infected: Policy"],
    ["ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=0;\r\n\r\n", "reject infected: unnamed"],
    ["ICAP/1.0 200 OK\r\nX-Infection-Found: Type=2; Resolution=0; Threat=Too deep;\r\n\r\n", "fails unscannable"],
    ["ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Threat=Encrypted Archive;\r\n\r\n", "fails encrypted"],
    ["ICAP/1.0 200 OK\r\nX-Virus-ID: EICAR Test String\r\n\r\n", "reject infected: EICAR_Test_String"],
    ["ICAP/1.0 200 OK\r\nX-Virus-Name: a\u0001b\r\n\r\n", "reject infected: a_b"],
    [`ICAP/1.0 200 OK\r\nX-Virus-Name: ${"v".repeat(300)}\r\n\r\n`, `reject infected: ${"v".repeat(128)}`],
    ["ICAP/1.0 200 OK\r\nX-Violations-Found: 1\r\n\t-\r\n\tEicar\r\n\t0\r\n\t0\r\n\r\n", "reject infected: Eicar"],
    [
      "ICAP/1.0 200 OK\r\nX-Violations-Found: 2\r\n\ta.zip\r\n\tEncrypted.Zip\r\n\t0\r\n\t0\r\n\tb\r\n\tEicar\r\n\t0\r\n\t2\r\n\r\n",
      "reject infected: Eicar",
    ],
    [
      `ICAP/1.0 200 OK\r\nX-Infection-Found: Type=2; Resolution=0; Threat=Too, deep;\r\n${infected("Eicar")}\r\n\r\n`,
      "reject infected: Eicar",
    ],
    [
      "ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Threat=Encrypted.Zip;, Type=2; Threat=x;\r\n\r\n",
      "fails encrypted",
    ],
    ["ICAP/1.0 200 OK\r\nX-Violations-Found: 3\r\n\r\n", "reject infected: violation"],
    ["ICAP/1.0 200 OK\r\nX-Violations-Found: many\r\n\r\n", "fails error"],
    ["ICAP/1.0 200 OK\r\nX-Blocked-Reason: Infected\r\n\r\n", "reject infected: Infected"],
    ["ICAP/1.0 200 OK\r\nX-Blocked-Reason: Encrypted Archive\r\n\r\n", "fails encrypted"],
    ["ICAP/1.0 200 OK\r\nX-Response-Info: Blocked\r\nX-Response-Desc: Bad\r\n\r\n", "reject infected: Bad"],
    ["ICAP/1.0 204 No\r\nX-Response-Info: Allowed\r\n\r\n", "clean"],
    [blocked, "reject infected: blocked"],
    [page("HTTP/1.1 403 Forbidden", undefined), "reject infected: blocked"],
    [page("HTTP/1.1 403 Forbidden\r\nX-Virus-ID: Inside", "no"), "reject infected: Inside"],
    // Not exactly known.
    [page("HTTP/1.1 200 OK", "a page"), "fails error"],
    [page("HTTP/1.1 200 OK", ""), "fails error"],
    [page("HTTP/1.1 200 OK", undefined), "fails error"],
    [page("HTTP/1.1 200 OK", `${content}more`), "fails error"],
    [page("HTTP/1.1 200 OK", content.slice(0, -1)), "fails error"],
    [page("HTTP/1.1 302 Found", ""), "fails error"],
    [page("HTTP/1.1 500 Oops", ""), "fails error"],
    [page("GET / HTTP/1.1", ""), "fails error"],
    [chunked("x\r\n"), "fails error"],
    [chunked("-1\r\n"), "fails error"],
    [chunked("fffffffffffff\r\n"), "fails error"],
    [chunked("2\r\nSubject\r\n0\r\n\r\n"), "fails error"],
    [chunked("3\r\nSubXX\r\n12\r\nject: x\r\n\r\nhello\r\n\r\n0\r\n\r\n"), "fails error"],
    [chunked(`${"0".repeat(2_000)}1\r\n`), "fails error"],
    ["ICAP/1.0 200 OK\r\n\r\n", "fails error"],
    ["ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0\r\n\r\n", "fails error"],
    ["ICAP/1.0 200 OK\r\nEncapsulated: res-body=0, res-hdr=4\r\n\r\n", "fails error"],
    ["ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=99999999\r\n\r\n", "fails error"],
    ["ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=4\r\n\r\nHTTP", "fails error"],
    ["ICAP/1.0 100 Continue\r\n\r\n", "fails error"],
    ["ICAP/1.0 206 Partial\r\n\r\n", "fails error"],
    ["ICAP/1.0 404 Service not found\r\n\r\n", "fails error"],
    ["ICAP/1.0 413 Too large\r\n\r\n", "fails tooLarge"],
    ["ICAP/1.0 408 Timeout\r\n\r\n", "fails timeout"],
    ["ICAP/1.0 500 Server error\r\n\r\n", "fails error"],
    ["ICAP/1.0 503 Overloaded\r\n\r\n", "fails down"],
    ["HTTP/1.1 204 No Content\r\n\r\n", "fails error"],
    ["ICAP/1.0 204\r\nno field\r\n\r\n", "fails error"],
    ["ICAP/1.0 204\r\n folded: first\r\n\r\n", "fails error"],
    ["\0\0\0\0\r\n\r\n", "fails error"],
    [`ICAP/1.0 204 ${"x".repeat(20_000)}\r\n\r\n`, "fails error"],
    [`ICAP/1.0 204 No\r\n${"X-A: b\r\n".repeat(1_000)}\r\n`, "fails error"],
    [`ICAP/1.0 204 No\r\n${`X-A: ${"b".repeat(9_000)}\r\n`.repeat(9)}\r\n`, "fails error"],
    ["", "fails down"],
  ])("%j", async (answer, expected) => {
    const fake = await startFake({ onEnd: (socket) => void socket.end(answer, "latin1") });
    expect(await tell(ask(engineFor(fake), sampleMessage(content)))).toBe(expected);
  });

  test("cut anywhere it is never clean", async () => {
    for (const whole of ["ICAP/1.0 204 No Content\r\nISTag: x\r\n\r\n", page("HTTP/1.1 200 OK", content)]) {
      let length = 0;
      const fake = await startFake({ onEnd: (socket) => void socket.end(whole.slice(0, length)) });
      const engine = engineFor(fake);
      for (length = 0; length < whole.length; length += 1) {
        expect(await tell(ask(engine, sampleMessage(content))), whole.slice(0, length)).toMatch(/^fails (down|error)$/);
      }
      expect(await tell(ask(engine, sampleMessage(content)))).toBe("clean");
    }
  });

  test("an answer octet by octet is one answer", async () => {
    const fake = await startFake({
      onEnd(socket) {
        const octets = page("HTTP/1.1 200 OK", content).split("");
        const next = (): void => {
          const octet = octets.shift();
          if (octet !== undefined) socket.write(octet, () => setImmediate(next));
        };
        next();
      },
    });
    expect(await tell(ask(engineFor(fake), sampleMessage(content)))).toBe("clean");
  });

  test("to REQMOD a response is a no, and our own request is clean", async () => {
    let said = blocked;
    const methods = optionsAnswer().replace("RESPMOD", "REQMOD");
    const fake = await startFake({ options: methods, onEnd: (socket) => void socket.write(said) });
    const engine = engineFor(fake, { method: "REQMOD" });
    expect(await tell(ask(engine, sampleMessage(content)))).toBe("reject infected: blocked");
    said = page("POST http://mx/ HTTP/1.1", content).replace("res-hdr", "req-hdr").replace("res-body", "req-body");
    expect(await tell(ask(engine, sampleMessage(content)))).toBe("clean");
    said = page("HTTP/1.1 200 OK", content);
    expect(await tell(ask(engine, sampleMessage(content)))).toBe("fails error");
    expect(fake.asked[0]?.inside).toMatch(/^POST http:\/\/mx\.example\.test\/Q1\.eml HTTP\/1\.1\r\n/);
  });

  test.each<[Options["onInfected"], string]>([
    ["reject", "reject infected: V"],
    ["defer", "defer infected: V"],
    ["discard", "discard infected: V"],
    ["quarantine", "quarantine infected: V"],
    ["tag", "prepend V"],
  ])("onInfected %s", async (onInfected, expected) => {
    const fake = await startFake({
      onEnd: (socket) => void socket.write(`ICAP/1.0 200 OK\r\n${infected("V")}\r\n\r\n`),
    });
    expect(await tell(ask(engineFor(fake, { onInfected })))).toBe(expected);
  });
});

const yes = "ICAP/1.0 204 No Content\r\n\r\n";
const goOn = "ICAP/1.0 100 Continue\r\n\r\n";

describe("what is sent", () => {
  test("a GET and its response around the mail, the client and our own headers", async () => {
    const fake = await startFake({ onEnd: (socket) => void socket.write(yes) });
    await ask(engineFor(fake, { headers: { "X-Profile": "mail" } }), sampleMessage(content));
    const [asked] = fake.asked;
    expect(asked?.head).toMatch(
      /^RESPMOD icap:\/\/127\.0\.0\.1:\d+\/scan ICAP\/1\.0\r\nHost: 127\.0\.0\.1:\d+\r\n.*Allow: 204\r\nX-Client-IP: [0-9.]+\r\nX-Profile: mail\r\nEncapsulated: req-hdr=0, res-hdr=69, res-body=\d+\r\n\r\n$/s,
    );
    expect(asked?.inside).toBe(
      "GET http://mx.example.test/Q1.eml HTTP/1.1\r\nHost: mx.example.test\r\n\r\n" +
        `HTTP/1.1 200 OK\r\nContent-Type: message/rfc822\r\nContent-Length: ${content.length}\r\n\r\n`,
    );
    expect(asked?.body.toString()).toBe(content);
  });

  test("parts: each leaf decoded, under its own name and type; the first that is infected ends it", async () => {
    const mail = [
      'Content-Type: multipart/mixed; boundary="b"',
      "",
      "--b",
      "",
      "text",
      "--b",
      'Content-Type: Application/X-Zip; name="../a b.zip"',
      "Content-Transfer-Encoding: base64",
      "",
      Buffer.from("PK zipped").toString("base64"),
      "--b",
      "Content-Type: message/rfc822",
      "",
      "Subject: inner",
      "Content-Transfer-Encoding: quoted-printable",
      "",
      "in=6Eer",
      "--b--",
    ].join("\r\n");
    let found: string | undefined;
    const fake = await startFake({
      options: optionsAnswer("Preview: 0", "Transfer-Complete: zip"),
      onEnd: (socket, { head, body }) =>
        void socket.write(
          found !== undefined && body.includes(found)
            ? `ICAP/1.0 200 OK\r\n${infected("V")}\r\n\r\n`
            : head.includes("Preview")
              ? goOn
              : yes,
        ),
      onRest: (socket) => void socket.write(yes),
    });
    const engine = engineFor(fake, { parts: true });
    expect(await tell(ask(engine, sampleMessage(mail)))).toBe("clean");
    const told = fake.asked.map(({ inside, head, body }) => [
      /GET http:\/\/mx\.example\.test\/(\S+)/.exec(inside)?.[1],
      /Content-Type: (.*)/.exec(inside)?.[1],
      head.includes("Preview"),
      body.toString(),
    ]);
    expect(told).toEqual([
      ["Q1/1.1/part", "text/plain", true, "text"],
      ["Q1/1.2/.._a%20b.zip", "application/x-zip", false, "PK zipped"],
      [expect.stringMatching(/^Q1\/1\.3\S*\/part$/), "text/plain", true, "inner"],
    ]);
    found = "PK";
    expect(await tell(ask(engine, sampleMessage(mail)))).toBe("reject infected: V");
    expect(fake.asked).toHaveLength(5);
    const nested = `Content-Type: multipart/mixed; boundary="b"\r\n\r\n${"--b\r\n\r\nx\r\n".repeat(1_001)}--b--\r\n`;
    found = undefined;
    expect(await tell(ask(engine, sampleMessage(nested)))).toBe("fails unscannable");
  });

  test.each<[first: string, expected: string]>([
    [`ICAP/1.0 200 OK\r\n${infected("Encrypted.Zip")}\r\n\r\n`, "fails encrypted"],
    ["ICAP/1.0 413 Too large\r\n\r\n", "fails tooLarge"],
    ["ICAP/1.0 500 No\r\n\r\n", "fails error"],
    [page("HTTP/1.1 200 OK", "changed"), "fails error"],
  ])("parts: one that could not be read hides no other, %j", async (first, expected) => {
    const mail = (last: string): Message =>
      sampleMessage(
        `Content-Type: multipart/mixed; boundary="b"\r\n\r\n${["first", "locked", last].map((text) => `--b\r\n\r\n${text}\r\n`).join("")}--b--\r\n`,
      );
    const fake = await startFake({
      onEnd: (socket, { body }) =>
        void socket.write(
          body.includes("virus")
            ? `ICAP/1.0 200 OK\r\n${infected("V")}\r\n\r\n`
            : body.includes("first")
              ? first
              : body.includes("locked")
                ? `ICAP/1.0 200 OK\r\n${infected("Encrypted.Zip")}\r\n\r\n`
                : yes,
        ),
    });
    const engine = engineFor(fake, { parts: true });
    expect(await tell(ask(engine, mail("virus")))).toBe("reject infected: V");
    expect(await tell(ask(engine, mail("harmless")))).toBe(expected);
    expect(fake.asked).toHaveLength(6);
  });

  test.each<[size: number, preview: number, shown: number, ieof: boolean]>([
    [0, 0, 0, true],
    [5, 0, 0, false],
    [5, 4, 4, false],
    [5, 5, 5, true],
    [5, 6, 5, true],
    [200_000, 70_000, 70_000, false],
  ])("%d octets with a preview of %d", async (size, preview, shown, ieof) => {
    let first = -1;
    const fake = await startFake({
      options: optionsAnswer(`Preview: ${preview}`),
      onEnd(socket, asked) {
        first = asked.body.length;
        socket.write(asked.ieof ? yes : goOn);
      },
      onRest: (socket) => void socket.write(yes),
    });
    const octets = Buffer.from(Array.from({ length: size }, (_, index) => 97 + (index % 26)));
    const message = sampleMessage([octets.subarray(0, 3), octets.subarray(3)]);
    expect(await tell(ask(engineFor(fake), message))).toBe("clean");
    expect([first, fake.asked[0]?.ieof]).toEqual([shown, ieof]);
    expect(fake.asked[0]?.body.equals(octets)).toBe(true);
  });

  test("204 to the preview is clean without the rest; 100 to the whole is a fault; Transfer-Complete has none", async () => {
    let said = yes;
    const script = { options: optionsAnswer("Preview: 4"), onEnd: (socket: Socket) => void socket.write(said) };
    const fake = await startFake(script);
    const engine = engineFor(fake);
    expect(await tell(ask(engine, sampleMessage(content)))).toBe("clean");
    expect(fake.asked[0]?.body.toString()).toBe("Subj");
    said = goOn;
    expect(await tell(ask(engine, sampleMessage("x")))).toBe("fails error");
    const whole = await startFake({ ...script, options: optionsAnswer("Preview: 4", "Transfer-Complete: zip, eml") });
    said = yes;
    expect(await tell(ask(engineFor(whole), sampleMessage(content)))).toBe("clean");
    expect(whole.asked[0]?.head).not.toContain("Preview:");
  });

  test.each<[what: string, end: (socket: Socket) => void, expected: string]>([
    ["closes", (socket) => void socket.end(), "fails down"],
    ["resets", (socket) => void socket.resetAndDestroy(), "fails down"],
    ["says no", (socket) => void socket.end(blocked), "reject infected: blocked"],
    ["says 204 before it has all", (socket) => void socket.end(yes), "fails error"],
  ])("after 100 the server %s", async (_, end, expected) => {
    const fake = await startFake({
      options: optionsAnswer("Preview: 4"),
      onEnd(socket) {
        socket.removeAllListeners("data");
        socket.write(goOn, () => end(socket));
      },
      onRest: () => undefined,
    });
    const engine = engineFor(fake, { maxSize: 64 << 20 });
    const said = await tell(ask(engine, sampleMessage(Buffer.alloc(20 << 20, "x"))));
    // What a server said before it closed may be lost with the connection; never does it become clean.
    if (expected.startsWith("fails")) expect(said).toMatch(/^fails (down|error)$/);
    else expect([expected, "fails down"]).toContain(said);
  });

  test("an early no is heard while it is still being sent", async () => {
    const fake = await startFake({
      onHead(socket) {
        socket.write(`ICAP/1.0 200 OK\r\n${infected("Early")}\r\n\r\n`);
        return true;
      },
      onEnd: () => undefined,
    });
    const engine = engineFor(fake, { maxSize: 64 << 20 });
    expect(await tell(ask(engine, sampleMessage(Buffer.alloc(20 << 20, "x"))))).toBe("reject infected: Early");
    await expect.poll(() => fake.open).toBe(0);
  });

  test("a slow server holds the reading back, and both ways at once do not wait for each other", async () => {
    const release = Promise.withResolvers<void>();
    const piece = Buffer.alloc(64 * 1024, "x");
    let read = 0;
    const raw: Pick<Blob, "sizeBytes" | "chunks" | "read"> = {
      sizeBytes: 400 * piece.length,
      chunks: undefined,
      async *read() {
        for (let index = 0; index < 400; index += 1) {
          read += 1;
          yield piece;
        }
      },
    };
    const fake = await startFake({
      onHead(socket, _, left) {
        socket.removeAllListeners("data");
        socket.pause();
        const inside = "HTTP/1.1 200 OK\r\n\r\n";
        void release.promise.then(() => {
          socket.write(`ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=${inside.length}\r\n\r\n${inside}`);
          // An echo: its answer fills both directions.
          socket.write(left);
          socket.pipe(socket);
        });
        return true;
      },
      onEnd: () => undefined,
    });
    const answer = tell(ask(engineFor(fake, { maxSize: 64 << 20 }), { raw, sizeBytes: raw.sizeBytes } as Message));
    let before = -1;
    while (read !== before) {
      before = read;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(read).toBeLessThan(100);
    release.resolve();
    expect(await answer).toBe("clean");
    expect(read).toBe(800);
  });

  test("a spool that cannot be read is an error, and the connection does not stay", async () => {
    const fake = await startFake({ onEnd: (socket) => void socket.write(yes) });
    const raw = {
      sizeBytes: 10,
      async *read() {
        yield Buffer.from("x");
        throw new Error("EIO");
      },
    };
    expect(await tell(ask(engineFor(fake), { raw, sizeBytes: 10 } as unknown as Message))).toBe("fails error");
    await expect.poll(() => fake.open).toBe(0);
  });
});

describe("connections", () => {
  test("one serves many scans; Connection: close ends it; one that was closed meanwhile is replaced", async () => {
    let close = false;
    const sockets = new Set<Socket>();
    const fake = await startFake({
      onEnd(socket) {
        sockets.add(socket);
        socket.write(close ? "ICAP/1.0 204 No\r\nConnection: close\r\n\r\n" : yes);
      },
    });
    const engine = engineFor(fake);
    for (let count = 0; count < 5; count += 1) expect(await tell(ask(engine))).toBe("clean");
    expect([fake.connections, fake.optionsAsked]).toEqual([1, 1]);
    close = true;
    expect(await tell(ask(engine))).toBe("clean");
    await expect.poll(() => fake.open).toBe(0);
    close = false;
    expect(await tell(ask(engine))).toBe("clean");
    expect(fake.connections).toBe(2);
    for (const socket of sockets) socket.destroy();
    expect(await tell(ask(engine))).toBe("clean");
  });

  test("Max-Connections is honoured, and those in line come to their turn", async () => {
    // Two are held until nothing more comes; a third would be seen.
    const held: Socket[] = [];
    let most = 0;
    const fake = await startFake({
      options: optionsAnswer("Max-Connections: 2"),
      onEnd(socket) {
        most = Math.max(most, held.push(socket));
        if (held.length < 2) return;
        setTimeout(() => {
          for (const waiting of held.splice(0)) waiting.write(yes);
        }, 5);
      },
    });
    const engine = engineFor(fake);
    const answers = await Promise.all(Array.from({ length: 30 }, () => tell(ask(engine))));
    expect(new Set(answers)).toEqual(new Set(["clean"]));
    expect(most).toBe(2);
  });

  test("another ISTag: OPTIONS are asked again", async () => {
    let tag = '"one"';
    const fake = await startFake({ onEnd: (socket) => void socket.write(`ICAP/1.0 204 No\r\nISTag: ${tag}\r\n\r\n`) });
    const engine = engineFor(fake);
    for (const next of ['"one"', '"two"', '"one"', '"one"']) {
      tag = next;
      expect(await tell(ask(engine))).toBe("clean");
    }
    expect(fake.optionsAsked).toBe(2);
  });

  test.each<[what: string, options: string | undefined, expected: string]>([
    ["405, which knows no OPTIONS", "ICAP/1.0 405 Not allowed\r\n\r\n", "clean"],
    ["404", "ICAP/1.0 404 Not found\r\n\r\n", "fails error"],
    ["another method alone", optionsAnswer().replace("RESPMOD", "REQMOD"), "fails error"],
    ["rubbish", "hello\r\n\r\n", "fails error"],
    ["nothing", undefined, "fails timeout"],
  ])("OPTIONS answered with %s", async (_, said, expected) => {
    const fake = await startFake({ options: said, onEnd: (socket) => void socket.write(yes) });
    expect(await tell(ask(engineFor(fake, { timeouts: { connect: 1_000, answer: 50 } })))).toBe(expected);
  });

  test("the next address when one is gone, mute or broken; a verdict is final", async () => {
    const good = await startFake({ onEnd: (socket) => void socket.write(yes) });
    const gone = parseAddress("icap://127.0.0.1:1/scan") as IcapAddress;
    const mute = await startFake({ onEnd: () => undefined });
    const broken = await startFake({ onEnd: (socket) => void socket.write("ICAP/1.0 500 No\r\n\r\n") });
    const bad = await startFake({ onEnd: (socket) => void socket.write(blocked) });
    const timeouts = { connect: 1_000, answer: 50 };
    const addresses = [gone, mute.address, broken.address];
    expect(await tell(ask(engineFor([...addresses, good.address], { timeouts })))).toBe("clean");
    expect(await tell(ask(engineFor(addresses, { timeouts })))).toBe("fails error");
    expect(await tell(ask(engineFor([bad.address, good.address])))).toBe("reject infected: blocked");
    // Those that failed are told of, and asked last for a while.
    const told: string[] = [];
    const engine = engineFor([...addresses, good.address], { timeouts }, (point) => void told.push(point));
    await ask(engine);
    expect(told).toEqual(addresses.map(({ authority }) => authority));
    const before = mute.asked.length;
    for (let count = 0; count < 3; count += 1) expect(await tell(ask(engine))).toBe("clean");
    expect(mute.asked.length).toBe(before);
  });

  test("called off it lets go at once, in line too", async () => {
    const fake = await startFake({ onEnd: () => undefined });
    const engine = engineFor(fake, { connections: 1 });
    const [one, two] = [new AbortController(), new AbortController()];
    const first = tell(ask(engine, undefined, one.signal));
    await expect.poll(() => fake.asked.length).toBe(1);
    const second = tell(ask(engine, undefined, two.signal));
    two.abort();
    expect(await second).toBe("fails timeout");
    one.abort();
    expect(await first).toBe("fails timeout");
    await expect.poll(() => fake.open).toBe(0);
    expect(await tell(ask(engine, undefined, one.signal))).toBe("fails timeout");
  });
});

describe("further headers", () => {
  test("a key is named and never told; what ICAP itself says is not to be said twice", async () => {
    const fake = await startFake({ onEnd: (socket) => void socket.write(yes) });
    const { headers } = options.parse({
      address: fake.address.uri,
      headers: { "X-Profile": "mail", Authorization: { env: "TEST_ICAP_KEY" } },
    });
    expect(JSON.stringify(headers)).toBe('{"X-Profile":"mail","Authorization":"[secret]"}');
    vi.stubEnv("TEST_ICAP_KEY", "Basic a2V5");
    const engine = engineFor(fake, { headers: revealHeaders(headers, "/") });
    expect(await tell(ask(engine))).toBe("clean");
    expect(fake.asked[0]?.head).toContain("\r\nX-Profile: mail\r\nAuthorization: Basic a2V5\r\n");
    vi.stubEnv("TEST_ICAP_KEY", "a\r\nEncapsulated: null-body=0");
    expect(() => revealHeaders(headers, "/")).toThrow("the secret in env TEST_ICAP_KEY is no line of ASCII");
    vi.unstubAllEnvs();
    for (const name of ["Encapsulated", "preview", "A b", "Host"]) {
      expect(options.safeParse({ address: fake.address.uri, headers: { [name]: "0" } }).success, name).toBe(false);
    }
  });
});

test.each<[text: string, uri: string | undefined]>([
  ["icap://127.0.0.1/avscan", "icap://127.0.0.1:1344/avscan"],
  ["icap://[::1]:99/a?b=c", "icap://[::1]:99/a?b=c"],
  ["icap://scan.example.test:1/", "icap://scan.example.test:1/"],
  ["icap://scan.example.test", undefined],
  ["icap://host:0/x", undefined],
  ["icap://host:70000/x", undefined],
  ["icap://user@host/x", undefined],
  ["icap://host/a b", undefined],
  ["icap://host/a\r\nb", undefined],
  ["http://host/x", undefined],
])("address %j", (text, uri) => {
  expect(parseAddress(text)?.uri).toBe(uri);
});
