// AUTH (RFC 4954) at the wire: what is offered when, every way an exchange ends, and what is left of it.
import { setImmediate as turn } from "node:timers/promises";
import { once } from "node:events";
import { connect as connectTls } from "node:tls";
import tlsOptions from "smtp-server/lib/tls-options.js";
import { describe, expect, test } from "vitest";
import type { AuthAnswer, Authenticator, Credentials } from "../authentication/index.ts";
import { reject } from "../model/index.ts";
import { randomFrom, sample, seed } from "../../../../test/sampling.ts";
import { createFront, Talk, type Front, type FrontOptions } from "./front.fixture.ts";

const { key, cert } = tlsOptions({}) as { key: string; cert: string };

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const plain = (identity: string, password: string, authzid = ""): string =>
  `AUTH PLAIN ${base64(`${authzid}\0${identity}\0${password}`)}`;

interface Known {
  readonly asked: Credentials[];
  readonly authenticator: Authenticator;
}

/** Knows `user` with the password `right`; `answer` speaks for others. */
function knows(answer?: (credentials: Credentials) => unknown, name = "known"): Known {
  const asked: Credentials[] = [];
  return {
    asked,
    authenticator: {
      name,
      description: "For a test.",
      verify(credentials) {
        asked.push(credentials);
        if (answer !== undefined) return answer(credentials) as AuthAnswer;
        const right = credentials.identity === "user" && credentials.password === "right";
        return right ? { kind: "ok", identity: "user@ours.test" } : { kind: "no" };
      },
    },
  };
}

/** Passwords may come in clear, unless the listener says otherwise. */
function open(options: FrontOptions = {}): Promise<Front> {
  return createFront({
    authenticators: [knows().authenticator],
    ...options,
    listener: { auth: "offered", authWithoutTls: true, ...options.listener },
  });
}

describe("what is offered", () => {
  test.each<[string, FrontOptions, RegExp | null, RegExp]>([
    ["nothing without the listener's word", { listener: { auth: "off" } }, null, /^503 5\.5\.1 .*not enabled/],
    ["nothing without an authenticator", { authenticators: undefined as never }, null, /^503 5\.5\.1 /],
    ["PLAIN and LOGIN", {}, /^250-AUTH PLAIN LOGIN$/m, /^235 2\.7\.0 /],
    ["not before TLS", { tls: { key, cert }, listener: { authWithoutTls: false } }, null, /^538 5\.7\.11 /],
  ])("%s", async (_, options, offer, answer) => {
    const front = await open(options);
    const talk = front.connect();
    await talk.reply();
    const extensions = await talk.say("EHLO client.test");
    if (offer === null) expect(extensions).not.toMatch(/AUTH/);
    else expect(extensions).toMatch(offer);
    expect(await talk.say(plain("user", "right"))).toMatch(answer);
  });

  test("under TLS, and Received says so", async () => {
    const front = await open({ tls: { key, cert }, listener: { authWithoutTls: false } });
    const talk = await front.greeted();
    await talk.say("STARTTLS");
    talk.stream.removeAllListeners("data");
    const socket = connectTls({ socket: talk.stream, rejectUnauthorized: false, servername: "mx.ours.test" });
    await once(socket, "secureConnect");
    const secure = new Talk(socket);
    expect(await secure.say("EHLO client.test")).toMatch(/^250-AUTH PLAIN LOGIN$/m);
    expect(await secure.say(plain("user", "right"))).toMatch(/^235 /);
    for (const line of ["MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>", "DATA"]) await secure.say(line);
    expect(await secure.say("x: y\r\n.")).toMatch(/^250 /);
    expect(front.queue[0]?.text).toMatch(/ with ESMTPSA id /);
    expect(front.queue[0]?.message.origin).toMatchObject({ trusted: true });
    socket.destroy();
  });
});

test.each<[string, string[], RegExp]>([
  ["no mechanism", ["AUTH"], /^501 5\.5\.4 /],
  ["an unknown one", ["AUTH CRAM-MD5"], /^504 5\.5\.4 /],
  ["two words too many", ["AUTH PLAIN AAA= AAA="], /^501 5\.5\.4 /],
  ["PLAIN with its response", [plain("user", "right")], /^235 2\.7\.0 /],
  ["any case", [plain("user", "right").replace("AUTH PLAIN", "auth plain")], /^235 /],
  ["PLAIN by challenge", ["AUTH PLAIN", base64("\0user\0right")], /^235 /],
  ["as oneself", [plain("user", "right", "user")], /^235 /],
  ["as somebody else", [plain("user", "right", "root")], /^535 5\.7\.8 /],
  ["LOGIN", ["AUTH LOGIN", base64("user"), base64("right")], /^235 /],
  ["LOGIN with its name", [`AUTH LOGIN ${base64("user")}`, base64("right")], /^235 /],
  ["a wrong password", [plain("user", "wrong")], /^535 5\.7\.8 Authentication failed$/],
  ["an unknown user", [plain("nobody", "right")], /^535 5\.7\.8 Authentication failed$/],
  ["cancelled", ["AUTH PLAIN", "*"], /^501 5\.7\.0 /],
  ["cancelled at the password", ["AUTH LOGIN", base64("user"), "*"], /^501 5\.7\.0 /],
  ["no base64", ["AUTH PLAIN", "AHVzZXIAcmlnaHQ"], /^501 5\.5\.2 /],
  ["blanks in it", ["AUTH PLAIN", "AHVz ZXIA"], /^501 5\.5\.2 /],
  ["stray bits", ["AUTH LOGIN", "dXNlcn=="], /^501 5\.5\.2 /],
  ["base64 of the URL kind", ["AUTH PLAIN", "AHVz_-IA"], /^501 5\.5\.2 /],
  ["an empty initial response", ["AUTH PLAIN ="], /^535 5\.7\.8 /],
  ["an empty line", ["AUTH PLAIN", ""], /^535 5\.7\.8 /],
  ["no NUL", [`AUTH PLAIN ${base64("userright")}`], /^535 5\.7\.8 /],
  ["one NUL", [`AUTH PLAIN ${base64("user\0right")}`], /^535 5\.7\.8 /],
  ["three NULs", [`AUTH PLAIN ${base64("\0user\0right\0")}`], /^535 5\.7\.8 /],
  ["no password", [`AUTH PLAIN ${base64("\0user\0")}`], /^535 5\.7\.8 /],
  ["no name", [`AUTH PLAIN ${base64("\0\0right")}`], /^535 5\.7\.8 /],
  ["NUL in a LOGIN name", ["AUTH LOGIN", base64("us\0er"), base64("right")], /^535 5\.7\.8 /],
  ["no UTF-8", [`AUTH PLAIN ${Buffer.from("\0\xffuser\0right", "latin1").toString("base64")}`], /^535 5\.7\.8 /],
  ["a name of two lines", [plain("user\r\nroot", "right")], /^535 5\.7\.8 /],
  ["a name that is too long", [plain("u".repeat(256), "right")], /^535 5\.7\.8 /],
  ["a password that is too long", [plain("user", "p".repeat(1025))], /^535 5\.7\.8 /],
  ["a line that is too long", ["AUTH PLAIN", "A".repeat(12_287)], /^500 5\.5\.6 /],
  ["an initial response that is too long", [`AUTH PLAIN ${"A".repeat(12_288)}`], /^500 5\.5\.2 /],
  ["another command that is too long", [`NOOP ${"A".repeat(2048)}`], /^500 5\.5\.2 /],
])("%s", async (_, said, answer) => {
  const front = await open();
  const talk = await front.greeted();
  for (const line of said.slice(0, -1)) expect(await talk.say(line)).toMatch(/^334/);
  expect(await talk.say(said.at(-1) ?? "")).toMatch(answer);
  expect(await talk.say("NOOP")).toBe("250 2.0.0 Ok");
});

test("LOGIN's challenges are those that clients know", async () => {
  const talk = await (await open()).greeted();
  expect(await talk.say("AUTH LOGIN")).toBe("334 VXNlcm5hbWU6");
  expect(await talk.say(base64("user"))).toBe("334 UGFzc3dvcmQ6");
  talk.send("*\r\n");
  expect(await talk.reply()).toMatch(/^501 /);
  talk.send("AUTH PLAIN\r\n");
  await turn();
  expect(talk.transcript).toMatch(/\r\n334 \r\n$/);
});

test("only behind EHLO, once, and not in a transaction", async () => {
  const front = await open();
  const talk = front.connect();
  await talk.reply();
  expect(await talk.say(plain("user", "right"))).toMatch(/^503 5\.5\.1 Send EHLO/);
  await talk.say("HELO client.test");
  expect(await talk.say(plain("user", "right"))).toMatch(/^503 5\.5\.1 Send EHLO/);
  await talk.say("EHLO client.test");
  await talk.say("MAIL FROM:<a@there.test>");
  expect(await talk.say(plain("user", "right"))).toMatch(/^503 5\.5\.1 /);
  await talk.say("RSET");
  expect(await talk.say(plain("user", "right"))).toMatch(/^235 /);
  expect(await talk.say(plain("user", "right"))).toMatch(/^503 5\.5\.1 /);
  // RFC 4954 §4: neither RSET nor EHLO takes it back.
  await talk.say("EHLO client.test");
  expect(await talk.say("AUTH LOGIN")).toMatch(/^503 5\.5\.1 Already/);
});

test("commands that came with it are commands again behind it", async () => {
  const talk = await (await open()).greeted();
  talk.send(`AUTH PLAIN\r\n${base64("\0user\0right")}\r\nNOOP\r\nAUTH LOGIN\r\nQUIT\r\n`);
  expect(await talk.replies(5)).toEqual(
    [
      "334 ",
      "235 2.7.0 Authentication successful",
      "250 2.0.0 Ok",
      "503 5.5.1 Already authenticated",
      "221 2.0.0 Bye",
    ].map((line) => line.trimEnd()),
  );
});

test("a response may come octet by octet; a bare LF ends none", async () => {
  const talk = await (await open()).greeted();
  await talk.say("AUTH PLAIN");
  for (const octet of `${base64("\0user\0right")}\r\n`) {
    talk.send(octet);
    await turn();
  }
  expect(await talk.reply()).toMatch(/^235 /);
  const lenient = await (await open()).greeted();
  await lenient.say("AUTH PLAIN");
  lenient.send(`${base64("\0user\0right")}\n`);
  expect(await lenient.reply()).toMatch(/^501 5\.5\.2 /);
});

describe("a listener's demands", () => {
  test("a login before mail", async () => {
    const front = await open({ listener: { auth: "required" } });
    const talk = await front.greeted({ remoteAddress: "127.0.0.1" });
    for (const line of ["MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>", "DATA", "VRFY x"]) {
      expect(await talk.say(line)).toBe("530 5.7.0 Authentication required");
    }
    expect(await talk.say("RSET")).toMatch(/^250 /);
    talk.send("BDAT 3 LAST\r\nabc");
    expect(await talk.reply()).toMatch(/^503 /);
    expect(await talk.say(plain("user", "right"))).toMatch(/^235 /);
    expect(await talk.say("MAIL FROM:<a@there.test>")).toMatch(/^250 /);
  });

  test("TLS before anything", async () => {
    const front = await open({ tls: { key, cert }, listener: { tls: "required", auth: "required" } });
    const talk = await front.greeted();
    expect(talk.transcript).toContain("STARTTLS");
    expect(await talk.say("MAIL FROM:<a@there.test>")).toBe("530 5.7.0 Must issue a STARTTLS command first");
    expect(await talk.say("NOOP")).toMatch(/^250 /);
    expect(await talk.say("EHLO client.test")).toMatch(/^250-/);
  });
});

describe("authenticators", () => {
  const throws = (): never => {
    throw new Error("the server at 10.0.0.1 is down");
  };
  const no = (): AuthAnswer => ({ kind: "no" });
  const ok = ({ identity }: Credentials): AuthAnswer => ({ kind: "ok", identity });
  test.each<[string, ((credentials: Credentials) => unknown)[], RegExp, number]>([
    ["the first accepts", [ok, throws], /^235 /, 1],
    ["no asks the next", [no, ok], /^235 /, 2],
    ["an outage asks the next", [throws, ok], /^235 /, 2],
    ["an outage and a no: later", [throws, no], /^454 4\.7\.0 Temporary authentication failure$/, 2],
    ["a no and an outage: later", [no, async () => throws()], /^454 4\.7\.0 /, 2],
    ["all say no", [no, async () => no()], /^535 5\.7\.8 /, 2],
    ["not now", [() => ({ kind: "later" }), no], /^454 4\.7\.0 /, 2],
    ["nonsense", [() => true], /^454 4\.7\.0 /, 1],
    ["an identity of two lines", [() => ({ kind: "ok", identity: "a\r\nb" })], /^454 4\.7\.0 /, 1],
    ["no identity", [() => ({ kind: "ok" })], /^454 4\.7\.0 /, 1],
    ["the last word", [() => ({ kind: "no", ends: true })], /^421 4\.7\.0 /, 1],
  ])("%s", async (_, answers, expected, asked) => {
    const known = answers.map((answer, index) => knows(answer, `known-${index}`));
    const front = await open({ authenticators: known.map(({ authenticator }) => authenticator) });
    const talk = await front.greeted();
    expect(await talk.say(plain("user", "right"))).toMatch(expected);
    expect(known.reduce((sum, one) => sum + one.asked.length, 0)).toBe(asked);
  });

  test("somebody else's name and malformed ones ask nobody", async () => {
    const { asked, authenticator } = knows();
    const talk = await (await open({ authenticators: [authenticator] })).greeted();
    await talk.say(plain("user", "right", "root"));
    await talk.say(`AUTH PLAIN ${base64("user\0right")}`);
    expect(asked).toEqual([]);
  });

  test("a client that goes away ends the question, and its generation is let go", async () => {
    let signal: AbortSignal | undefined;
    const verify = (credentials: Credentials): Promise<AuthAnswer> => {
      signal = credentials.signal;
      return new Promise((resolve) => signal?.addEventListener("abort", () => resolve({ kind: "no" })));
    };
    const front = await open({ authenticators: [knows(verify).authenticator] });
    const talk = await front.greeted();
    talk.send(`${plain("user", "right")}\r\n`);
    while (signal === undefined) await turn();
    talk.stream.destroy();
    await front.idle();
    expect(signal.aborted).toBe(true);
  });

  test("a refusal is held back, and not for a client that is gone", async () => {
    const front = await open({ authenticators: [knows(() => ({ kind: "no", delayMs: 25 })).authenticator] });
    const talk = await front.greeted();
    const since = performance.now();
    expect(await talk.say(plain("user", "wrong"))).toMatch(/^535 /);
    expect(performance.now() - since).toBeGreaterThan(20);
    const slow = await open({ authenticators: [knows(() => ({ kind: "no", delayMs: 30_000 })).authenticator] });
    const gone = await slow.greeted();
    gone.send(`${plain("user", "wrong")}\r\n`);
    await turn();
    gone.stream.destroy();
    await slow.idle();
  });

  test.each([
    ["while its password is looked at", true],
    ["while its refusal is held back", false],
  ])("a client that goes away %s has failed all the same", async (_, whileAsked) => {
    let asked = false;
    const verify = ({ signal }: Credentials): AuthAnswer | Promise<AuthAnswer> => {
      asked = true;
      if (!whileAsked) return { kind: "no", delayMs: 30_000 };
      return new Promise((resolve) => signal?.addEventListener("abort", () => resolve({ kind: "no" })));
    };
    const front = await open({ authenticators: [knows(verify).authenticator] });
    const talk = await front.greeted();
    talk.send(`${plain("user", "wrong")}\r\n`);
    while (!asked) await turn();
    talk.stream.destroy();
    await front.idle();
    expect(front.events.filter(({ kind }) => kind === "login")).toMatchObject([
      { identity: "user", outcome: "refused" },
    ]);
  });
});

describe("hooks", () => {
  test("smtp.auth has the last word after a success; smtp.authFailed hears of the others", async () => {
    const failures: unknown[] = [];
    const front = await open({
      taps: ({ smtp }) => {
        smtp.auth.tap((identity, mechanism, { auth }) =>
          auth?.identity === identity && mechanism === "PLAIN" ? reject("not from here", "5.7.1", 550) : undefined,
        );
        smtp.authFailed.tap((identity, mechanism) => void failures.push([identity, mechanism]));
      },
    });
    const talk = await front.greeted();
    expect(await talk.say(plain("user", "right"))).toBe("550 5.7.1 not from here");
    expect(await talk.say(plain("user", "wrong"))).toMatch(/^535 /);
    await talk.say("AUTH LOGIN");
    await talk.say(base64("user"));
    expect(await talk.say(base64("right"))).toMatch(/^235 /);
    await turn();
    expect(failures).toEqual([["user", "PLAIN"]]);
  });

  test("a tap that fails leaves the client without a login", async () => {
    const front = await open({
      taps: ({ smtp }) =>
        smtp.auth.tap(() => {
          throw new Error("secret");
        }),
    });
    const talk = await front.greeted();
    expect(await talk.say(plain("user", "right"))).toMatch(/^451 4\.3\.0 /);
    expect(await talk.say("AUTH LOGIN")).toMatch(/^334 /);
  });
});

test("MAIL's AUTH parameter is taken where logins are, and checked", async () => {
  const talk = await (await open()).greeted();
  for (const value of ["<>", "user+2Bx@there.test"]) {
    expect(await talk.say(`MAIL FROM:<a@there.test> AUTH=${value}`)).toMatch(/^250 /);
    await talk.say("RSET");
  }
  for (const value of ["", "=a+ZZ", "=a+"]) {
    expect(await talk.say(`MAIL FROM:<a@there.test> AUTH${value}`)).toMatch(/^501 5\.5\.4 /);
  }
});

test("who submitted the message is heard of those alone that are logged in", async () => {
  const heard: (string | undefined)[] = [];
  const front = await open({ taps: ({ smtp }) => smtp.mail.tap((_, { submitter }) => void heard.push(submitter)) });
  const talk = await front.greeted();
  const parameters = ["", " AUTH=<>", " AUTH=user+2Bx@there.test"];
  for (const login of [undefined, plain("user", "right")]) {
    if (login !== undefined) await talk.say(login);
    for (const parameter of parameters) {
      expect(await talk.say(`MAIL FROM:<a@there.test>${parameter}`)).toMatch(/^250 /);
      await talk.say("RSET");
    }
  }
  expect(heard).toEqual([undefined, undefined, undefined, undefined, "<>", "user+2Bx@there.test"]);
});

test("Received names who logged in only where that is wanted; the log always does", async () => {
  for (const authenticatedHeader of [false, true]) {
    const front = await open({ listener: { authenticatedHeader } });
    const talk = await front.greeted();
    for (const line of [plain("user", "right"), "MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>", "DATA"]) {
      await talk.say(line);
    }
    expect(await talk.say("x: y\r\n.")).toMatch(/^250 /);
    const text = front.queue[0]?.text ?? "";
    expect(text.includes("(Authenticated sender: user@ours.test)")).toBe(authenticatedHeader);
    expect(text).toContain(" with ESMTPA id ");
    expect(front.lines().filter((line) => line.includes("sasl_username=user@ours.test"))).toEqual([
      "unknown[192.0.2.1]: SASL PLAIN authentication succeeded, sasl_username=user@ours.test",
      expect.stringMatching(/client=.*, sasl_method=PLAIN, sasl_username=user@ours\.test$/),
    ]);
  }
});

test("no password, and nothing near one, is ever logged", async () => {
  const front = await open();
  const talk = await front.greeted();
  const said = [plain("user", "hunter2"), "AUTH LOGIN", base64("user"), base64("hunter2"), "AUTH PLAIN", "hunter2"];
  for (const line of said) await talk.say(line);
  talk.send(`AUTH LOGIN\r\n${base64("hunter2\0")}\r\n${"hunter2".repeat(4000)}\r\n`);
  await talk.replies(3);
  const log = front.lines().join("\n");
  expect(log).toContain("SASL PLAIN authentication failed: authentication failure, sasl_username=user\n");
  for (const secret of ["hunter2", base64("hunter2"), base64("\0user\0hunter2")]) expect(log).not.toContain(secret);
});

test(`random AUTH lines (seed ${seed}) end in a reply each, and never in a login`, async () => {
  const random = randomFrom(seed);
  const front = await open({ limits: { errors: 1e9, junkCommands: 1e9 } });
  const talk = await front.greeted();
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const octets = (length: number): string =>
    Buffer.from(Array.from({ length }, () => Math.floor(random() * 256))).toString("base64");
  const junk = (): string =>
    pick([
      () => octets(Math.floor(random() * 60)),
      () => octets(Math.floor(random() * 9000)),
      () =>
        base64(pick(["", "\0", "\0\0", "user", "\0user\0", "user\0user\0wrong", "\0user\0right\0", "\0us\u0000er\0x"])),
      () => pick(["*", "=", "", " ", "====", "A", "AA=A", "%%", "é", "\u0001"]),
      () => octets(30).slice(0, -1),
    ])();
  const rounds = sample(1000, 10_000);
  for (let round = 0; round < rounds; round += 1) {
    let reply = await talk.say(pick([`AUTH PLAIN ${junk()}`, `AUTH LOGIN ${junk()}`, "AUTH PLAIN", "AUTH LOGIN"]));
    while (reply.startsWith("334")) reply = await talk.say(junk());
    expect(reply).toMatch(/^(?:501|500|535|504) 5\.\d\.\d /);
  }
  expect(await talk.say(plain("user", "right"))).toMatch(/^235 /);
});
