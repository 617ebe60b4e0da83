// Commands with real programs: what they read, what their end means, and that nothing of them is left.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  createMemoryBlob,
  ScannerFailure,
  systemClock,
  type Blob,
  type Clock,
  type DeliveryRequest,
  type EditPart,
  type Outcome,
  type Spool,
} from "@postern/core";
import {
  createFakeClock,
  type FakeClock,
  sampleMessage,
  sampleRecipient,
  sampleSession,
  sampleTransaction,
} from "@postern/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expandArguments, LooksLikeOption, unknownMacros, type Facts } from "./arguments.ts";
import { createCommandScanner } from "./command-scanner.ts";
import { copyMail } from "./mail-copy.ts";
import { createPipeTransport, type PipeCommand } from "./pipe-transport.ts";
import { findIdentity } from "./user.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "commands-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sh = (script: string, ...words: string[]): [string, ...string[]] => [
  "/bin/sh",
  "-c",
  script.replaceAll("$", "$$$$"),
  "sh",
  ...words,
];

function requestFor(given: Partial<DeliveryRequest> = {}, content = "Subject: x\r\n\r\nhello\r\n"): DeliveryRequest {
  return {
    id: "Q1",
    envelope: { sender: "sender@example.test", body: "7bit", smtputf8: false },
    recipients: [sampleRecipient("Ann+work@Example.test")],
    route: { transport: "pipe", nextHop: "one" },
    content: createMemoryBlob([Buffer.from(content, "latin1")]),
    more: false,
    ...given,
  };
}

async function deliver(
  command: Partial<PipeCommand> & Pick<PipeCommand, "argv">,
  request = requestFor(),
  signal = new AbortController().signal,
  clock: Clock = systemClock,
): Promise<Outcome[]> {
  const whole: PipeCommand = {
    directory: folder,
    identity: () => undefined,
    flags: "",
    eol: "lf",
    nullSender: "MAILER-DAEMON",
    size: undefined,
    timeLimit: 90_000,
    maxRecipients: 50,
    concurrency: 5,
    ...command,
  };
  const transport = createPipeTransport(new Map([["one", whole]]), { clock, recipientDelimiter: "+" });
  const outcomes: Outcome[] = [];
  const settle = (_: unknown, outcome: Outcome): void => void outcomes.push(outcome);
  const report = await transport.deliver(request, { settle, signal });
  expect(report.destination).toBe(request.route.nextHop === "one" ? "alive" : "dead");
  return outcomes;
}

const told = ([outcome]: readonly Outcome[]): string => `${outcome?.status} ${outcome?.enhanced} ${outcome?.text}`;

describe("a command's end", () => {
  test.each<[script: string, expected: string]>([
    ["cat >/dev/null", "delivered 2.0.0 delivered via /bin/sh"],
    ["exit 0", "delivered 2.0.0 delivered via /bin/sh"],
    ["exec <&-; sleep 0.05; exit 0", "delivered 2.0.0 delivered via /bin/sh"],
    ["exit 75", "deferred 4.3.0 temporary failure"],
    ["echo busy; exit 75", "deferred 4.3.0 temporary failure. Command output: busy"],
    ["echo busy >&2; exit 71", "deferred 4.3.0 system resource problem. Command output: busy"],
    ["exit 67", "bounced 5.1.1 user unknown"],
    ["exit 1", 'bounced 5.3.0 Command died with status 1: "/bin/sh"'],
    ["echo 4.2.2 mailbox full; exit 69", "deferred 4.2.2 mailbox full"],
    ["echo 5.7.1 not here; exit 75", "bounced 5.7.1 not here"],
    ["echo 2.0.0 fine; exit 75", "deferred 4.3.0 temporary failure. Command output: 2.0.0 fine"],
    [
      "printf 'two\\nlines\\001'; exit 1",
      'bounced 5.3.0 Command died with status 1: "/bin/sh". Command output: two lines_',
    ],
    ["kill -TERM $$", 'deferred 4.3.0 Command died with signal 15: "/bin/sh"'],
    ["head -c 100000 /dev/zero | tr '\\0' x; exit 0", "delivered 2.0.0 delivered via /bin/sh"],
  ])("%s", async (script, expected) => {
    expect(told(await deliver({ argv: sh(script) }))).toBe(expected);
  });

  test("of a message larger than any pipe, read late or not at all", async () => {
    const large = requestFor({}, "x".repeat(3_000_000));
    expect(told(await deliver({ argv: sh("exit 0") }, large))).toMatch(/^delivered/);
    expect(told(await deliver({ argv: sh('sleep 0.1; test "$(wc -c)" = 3000001') }, large))).toMatch(/^delivered/);
    expect(told(await deliver({ argv: sh("exit 0"), size: 1_000 }, large))).toMatch(
      /^bounced 5\.2\.3 message size 3000000/,
    );
  });

  const alive = (pid: string): boolean => {
    try {
      process.kill(Number(pid), 0);
      // A zombie whose parent is gone has ended.
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid.trim()}/status`, "utf8"));
    } catch {
      return false;
    }
  };

  test("at its time limit it is killed with its children", async () => {
    const pids = join(folder, "hanging");
    const hanging = sh('sleep 60 & echo $! >"$1"; sleep 60', pids);
    const clock = createFakeClock();
    const delivery = deliver({ argv: hanging, timeLimit: 100 }, undefined, undefined, clock);
    await expect.poll(() => existsSync(pids) && readFileSync(pids, "utf8")).toMatch(/^\d+\n/);
    await clock.run(100);
    const said = await delivery;
    expect(told(said)).toBe('bounced 5.3.0 Command time limit exceeded: "/bin/sh"');
    await expect.poll(() => alive(readFileSync(pids, "utf8"))).toBe(false);
  });

  test("a child left behind that holds the output is ended, one that let go of it may stay", async () => {
    const pids = join(folder, "left");
    expect(told(await deliver({ argv: sh('sleep 60 & echo $! >"$1"; exit 75', pids) }))).toMatch(/^deferred 4\.3\.0/);
    await expect.poll(() => alive(readFileSync(pids, "utf8"))).toBe(false);
    const daemon = sh('sleep 60 </dev/null >/dev/null 2>&1 & echo $! >"$1"; exit 0', pids);
    expect(told(await deliver({ argv: daemon }))).toMatch(/^delivered/);
    expect(alive(readFileSync(pids, "utf8"))).toBe(true);
    process.kill(Number(readFileSync(pids, "utf8")));
  });

  test.each<[what: string, next: (clock: FakeClock, controller: AbortController) => unknown]>([
    ["its time limit", (clock) => clock.run(150)],
    ["being called off", (_, controller) => controller.abort()],
  ])("an end that it has come to by itself stands, with %s before its children let go", async (_, next) => {
    const controller = new AbortController();
    const clock = createFakeClock();
    const argv = sh("sleep 60 & exit 0");
    const delivery = deliver({ argv, timeLimit: 150 }, undefined, controller.signal, clock);
    // Its time limit, and that of its children, which begins with its end.
    await expect.poll(() => clock.pending).toBe(2);
    await next(clock, controller);
    expect(told(await delivery)).toBe("delivered 2.0.0 delivered via /bin/sh");
  });

  test("without a free descriptor it is not started, and nothing else comes to harm", async () => {
    const script = `
      import { openSync, closeSync } from "node:fs";
      import { runCommand } from ${JSON.stringify(new URL("run-command.ts", import.meta.url).href)};
      const timers = { setTimer: (call, ms) => { const timer = setTimeout(call, ms); return { cancel: () => clearTimeout(timer) }; } };
      const run = () => runCommand({ argv: ["/bin/true"], directory: "/", timeLimitMs: 5_000, content: [], signal: new AbortController().signal }, timers);
      const taken = [];
      try { for (;;) taken.push(openSync("/dev/null")); } catch {}
      const failed = await run().catch(({ name, reason }) => ({ name, reason }));
      for (const descriptor of taken) closeSync(descriptor);
      console.log(JSON.stringify([failed, await run()]));`;
    const { stdout } = await promisify(execFile)("/bin/sh", [
      "-c",
      'ulimit -n 64; exec "$0" --input-type=module -e "$1"',
      process.execPath,
      script,
    ]);
    expect(JSON.parse(stdout)).toMatchObject([{ name: "CommandFailed", reason: "start" }, { code: 0 }]);
  });

  test("more words than the system takes: the mail waits, and the command is not to blame", async () => {
    const recipients = Array.from({ length: 40 }, (_, at) =>
      sampleRecipient(`${"x".repeat(100_000)}${at}@example.test`),
    );
    expect(told(await deliver({ argv: ["/bin/true", "${recipient}"] }, requestFor({ recipients })))).toMatch(
      /^deferred 4\.3\.0 .*E2BIG/,
    );
  });

  test("called off it ends at once and waits for another try; so it does where it cannot be run", async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    expect(told(await deliver({ argv: sh("sleep 60") }, undefined, controller.signal))).toMatch(/^deferred 4\.3\.0/);
    expect(told(await deliver({ argv: ["/nonexistent/filter"] }))).toMatch(/^deferred 4\.3\.5 cannot run/);
    expect(await deliver({ argv: sh("exit 0") }, requestFor({ route: { transport: "pipe", nextHop: "x" } }))).toEqual(
      [],
    );
    const broken = {
      ...createMemoryBlob([]),
      async *read() {
        yield Buffer.from("x");
        throw new Error("EIO");
      },
    } as unknown as Blob;
    const said = await deliver({ argv: sh("cat >/dev/null; exit 0") }, requestFor({ content: broken }));
    expect(told(said)).toMatch(/^deferred 4\.3\.0 the message could not be read/);
  });

  test("its environment holds nothing of ours, and no shell reads an address", async () => {
    const file = join(folder, "env");
    process.env["SECRET_OF_TEST"] = "x";
    const recipients = [sampleRecipient("$(touch${IFS}hacked)@example.test")];
    await deliver({ argv: sh('env >"$1"; echo "$2" >>"$1"', file, "${recipient}") }, requestFor({ recipients }));
    const text = readFileSync(file, "utf8");
    expect(text).not.toContain("SECRET_OF_TEST");
    expect(text).toContain("PATH=/usr/bin:/bin\n");
    expect(text).toContain("$(touch${IFS}hacked)@example.test\n");
  });

  test("no more runs at once than `concurrency`", async () => {
    const file = join(folder, "runs");
    const argv = sh('echo + >>"$1"; sleep 0.05; echo - >>"$1"', file);
    const command: PipeCommand = {
      argv,
      directory: folder,
      identity: () => undefined,
      flags: "",
      eol: "lf",
      nullSender: "",
      size: undefined,
      timeLimit: 10_000,
      maxRecipients: 1,
      concurrency: 3,
    };
    const transport = createPipeTransport(new Map([["one", command]]), { clock: systemClock, recipientDelimiter: "" });
    const outcomes: Outcome[] = [];
    const controls = {
      settle: (_: unknown, outcome: Outcome) => void outcomes.push(outcome),
      signal: new AbortController().signal,
    };
    const recipients = [sampleRecipient("a@example.test"), sampleRecipient("b@example.test")];
    await Promise.all(Array.from({ length: 6 }, () => transport.deliver(requestFor({ recipients }), controls)));
    expect(outcomes.map(({ status }) => status)).toEqual(Array(12).fill("delivered"));
    let [now, most] = [0, 0];
    for (const sign of readFileSync(file, "utf8").split("\n"))
      most = Math.max(most, (now += sign === "+" ? 1 : sign === "-" ? -1 : 0));
    expect(most).toBeLessThanOrEqual(3);
    const off = AbortSignal.abort();
    const called: Outcome[] = [];
    await transport.deliver(requestFor(), { settle: (_, outcome) => void called.push(outcome), signal: off });
    expect(called).toEqual([]);
  });

  test("D: one run for each recipient, and what was here before is a loop", async () => {
    const file = join(folder, "each");
    const argv = sh('echo "run $*" >>"$0"; cat >>"$0"', "${recipient}");
    argv[3] = file;
    const recipients = [sampleRecipient("a@example.test"), sampleRecipient("b@example.test")];
    expect(await deliver({ argv, flags: "D" }, requestFor({ recipients }))).toHaveLength(2);
    expect(readFileSync(file, "utf8")).toBe(
      ["a", "b"]
        .map((name) => `run ${name}@example.test\nDelivered-To: ${name}@example.test\nSubject: x\n\nhello\n`)
        .join(""),
    );
    const again = requestFor({ recipients }, "Delivered-To: A@example.test\r\n\r\n");
    const [first, second] = await deliver({ argv, flags: "D" }, again);
    expect([first?.enhanced, second?.status]).toEqual(["5.4.6", "delivered"]);
  });
});

describe("arguments", () => {
  const facts: Facts = {
    request: { ...requestFor(), origin: undefined },
    recipientDelimiter: "+",
    nullSender: "MAILER-DAEMON",
    write: (address) => address,
    writeSender: (address) => address,
    foldDomain: false,
  };
  const [a, b] = [
    sampleRecipient("Ann+work@Example.test"),
    sampleRecipient("bob@example.test", { original: "rob@example.test" }),
  ];

  test.each<[words: string[], expected: string[]]>([
    [
      ["-f", "${sender}", "--", "${recipient}"],
      ["-f", "sender@example.test", "--", a.address, b.address],
    ],
    [
      ["${user}:$(extension)", "$domain"],
      ["Ann:work", "bob:", "Example.test", "example.test"],
    ],
    [["${mailbox}", "${original_recipient}"], ["Ann+work", "bob", "recipient", "rob@example.test"].with(2, a.original)],
    [
      ["x${queue_id}y", "${size}", "${nexthop}", "$1"],
      ["xQ1y", "21", "one", ""],
    ],
    [
      ["plain", "$", "$$", "a$-b", "$$sender"],
      ["plain", "$", "$", "a$-b", "$sender"],
    ],
  ])("%j", (words, expected) => {
    expect(expandArguments(words, facts, [a, b])).toEqual(expected);
  });

  test("unknown names are found, and an address is never an option", () => {
    expect(unknownMacros(["${sender}", "$(nothing)${recipient}", "$constructor"])).toEqual(["nothing", "constructor"]);
    const bad = [sampleRecipient("-rf@example.test")];
    expect(() => expandArguments(["${recipient}"], facts, bad)).toThrow(LooksLikeOption);
    expect(expandArguments(["--", "${recipient}"], facts, bad)).toEqual(["--", "-rf@example.test"]);
    expect(expandArguments(["--to=${recipient}"], facts, bad)).toEqual(["--to=-rf@example.test"]);
  });
});

describe("what a command reads", () => {
  const text = ".dot\r\nFrom here\r\n..two\r\nFromage\r\nFrom\r\n.\r\n>From x\r\nlast";
  const wanted = (flags: string): string => {
    let lines = text.split("\r\n");
    if (flags.includes(">")) lines = lines.map((line) => (line.startsWith("From ") ? `>${line}` : line));
    if (flags.includes(".")) lines = lines.map((line) => (line.startsWith(".") ? `.${line}` : line));
    return `${lines.join("\n")}\n${flags.includes("B") ? "\n" : ""}`;
  };
  const copy = async (content: Buffer[], flags: string, eol: "\n" | "\r\n" = "\n"): Promise<string> => {
    const parts: string[] = [];
    const request = requestFor({ content: createMemoryBlob(content) });
    const copied = copyMail(request, sampleRecipient("r@example.test", { original: "o@example.test" }), {
      flags,
      eol,
      nullSender: "MAILER-DAEMON",
      nowMs: 784_111_777_000,
    });
    for await (const part of copied) parts.push(part);
    return parts.join("");
  };

  test("however its octets are cut", async () => {
    for (const flags of ["", ".", ">", ".>", "B.>"]) {
      for (let at = 0; at <= text.length; at += 1) {
        const pieces = [text.slice(0, at), text.slice(at, at + 2), text.slice(at + 2)].map((piece) =>
          Buffer.from(piece),
        );
        expect(await copy(pieces, flags), `${flags} at ${at}`).toBe(wanted(flags));
        const crlf = wanted(flags).replaceAll("\n", "\r\n");
        if (flags !== "") expect(await copy(pieces, flags, "\r\n")).toBe(crlf);
      }
      const octets = text.split("").map((octet) => Buffer.from(octet));
      expect(await copy(octets, flags)).toBe(wanted(flags));
    }
  });

  test("mailbox lines in front; 8-bit octets and a lone CR stay", async () => {
    const said = await copy([Buffer.from("a\xe4\rb\r\n", "latin1")], "FROD");
    expect(said).toMatch(
      /^From sender@example\.test  Sun Nov  6 \d\d:49:37 1994\nReturn-Path: <sender@example\.test>\nX-Original-To: o@example\.test\nDelivered-To: r@example\.test\na\xe4\rb\n$/,
    );
    expect(await copy([], "")).toBe("");
  });
});

describe("a command as a scanner", () => {
  async function scan(
    script: string,
    {
      replace = false,
      timeLimit = 5_000,
      sender = "sender@example.test",
      content = "Subject: x\r\nA: b\r\n\r\nhello\r\n",
    } = {},
  ) {
    const scanner = createCommandScanner(
      {
        argv: sh(script, "${sender}", "${recipient}"),
        directory: folder,
        identity: () => undefined,
        replace,
        timeLimit,
        maxSize: 1_000_000,
        concurrency: 2,
        onError: undefined,
      },
      { clock: systemClock, recipientDelimiter: "" },
    );
    const openSpool = (): Spool => {
      const chunks: Buffer[] = [];
      const fits = (): boolean => chunks.reduce((sum, { length }) => sum + length, 0) <= 1_000_000;
      return {
        write: (chunk: Buffer) => fits() && (chunks.push(Buffer.from(chunk)), fits()),
        end: () => (fits() ? createMemoryBlob(chunks) : undefined),
      } as unknown as Spool;
    };
    const ask = {
      message: sampleMessage(content),
      session: sampleSession(),
      transaction: sampleTransaction({ sender, recipients: [sampleRecipient()] }),
      signal: new AbortController().signal,
      openSpool,
    };
    try {
      const said = await scanner(ask);
      if (said === undefined) return "passes";
      if (Array.isArray(said)) return said as readonly EditPart[];
      const { kind, reply } = said as { kind: string; reply: { code: number; enhanced: string; text: string } };
      return `${kind} ${reply.code} ${reply.enhanced} ${reply.text}`;
    } catch (error) {
      if (!(error instanceof ScannerFailure)) throw error;
      return `fails ${error.reason}`;
    }
  }

  test.each<[script: string, expected: string]>([
    ["grep -q hello", "passes"],
    ["echo ignored; exit 0", "passes"],
    ["exit 69", "reject 550 5.7.1 Message refused"],
    ["echo spam found; exit 69", "reject 550 5.7.1 spam found"],
    ["echo 5.7.9 ours; exit 77", "reject 550 5.7.9 ours"],
    ["printf 'a\\r\\n250 b'; exit 65", "reject 550 5.6.0 a 250 b"],
    ["echo 4.7.5 later; exit 69", "defer 451 4.7.5 later"],
    ["echo later; exit 75", "defer 451 4.7.1 later"],
    ["exit 75", "defer 451 4.7.1 Try again later"],
    ["exit 1", "fails error"],
    ["exit 127", "fails error"],
    ["exit 64", "fails error"],
    ["kill -9 $$", "fails error"],
    ["test $1:$2 = sender@example.test:recipient@example.test || exit 1", "passes"],
  ])("%s", async (script, expected) => {
    expect(await scan(script)).toBe(expected);
  });

  test("an address that would be an option is refused: strangers choose theirs, and no failure of the command lets them by", async () => {
    expect(await scan("exit 0", { sender: "-oQ/tmp@example.test" })).toMatch(/^reject 553 5\.1\.3 /);
  });

  test("too slow, too large, not there", async () => {
    expect(await scan("sleep 60", { timeLimit: 100 })).toBe("fails timeout");
    expect(await scan("exit 0", { content: "x".repeat(1_000_001) })).toBe("fails tooLarge");
  });

  test("with `replace` what it writes is the message: only what differs is edited", async () => {
    const parts = (said: Awaited<ReturnType<typeof scan>>) =>
      typeof said === "string" ? said : said.map(({ edit }) => edit);
    const body = async (said: Awaited<ReturnType<typeof scan>>): Promise<string> => {
      const last = typeof said === "string" ? undefined : said.at(-1)?.edit;
      if (last?.kind !== "replaceBody") return "none";
      const chunks: Buffer[] = [];
      for await (const chunk of (last.body as Blob).read()) chunks.push(chunk);
      return Buffer.concat(chunks).toString("latin1");
    };
    const same = await scan("cat", { replace: true });
    expect(parts(same)).toMatchObject([{ kind: "replaceBody" }]);
    expect(await body(same)).toBe("hello\r\n");
    const changed = await scan("sed -e 's/hello/bye/' -e 's/^A:.*/A: c\\n  folded/'", { replace: true });
    expect(parts(changed)).toMatchObject([
      { kind: "deleteHeader", name: "subject" },
      { kind: "deleteHeader", name: "a" },
      { kind: "appendHeader", name: "Subject", value: Buffer.from(" x") },
      { kind: "appendHeader", name: "A", value: Buffer.from(" c\r\n  folded") },
      { kind: "replaceBody" },
    ]);
    expect(await body(changed)).toBe("bye\r\n");
    for (const script of ["exit 0", "echo no header", "printf ' folded: first\\n\\n'", "yes X: y | head -c 2000000"]) {
      expect(await scan(script, { replace: true }), script).toBe("fails invalid");
    }
    const cut = "cat; (sleep 60; echo the rest) & exit 0";
    expect(await scan(cut, { replace: true }), "its output has no end").toBe("fails error");
    expect(await scan("cat; yes", { replace: true, timeLimit: 60_000 }), "it never ends").toBe("fails tooLarge");
    expect(await scan(`cat; sleep 60`, { replace: true, timeLimit: 100 })).toBe("fails timeout");
    expect(await scan("cat; exit 69", { replace: true })).toBe("reject 550 5.7.1 Message refused");
    expect(await scan("cat; echo 5.7.3 text apart >&2; exit 69", { replace: true })).toBe(
      "reject 550 5.7.3 text apart",
    );
  });
});

test("root runs nothing, and only root becomes somebody else", async () => {
  const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const root = { uid: 0, gid: 0 };
  const why = (user: string | undefined, as = root): Promise<string> =>
    findIdentity(user, as).then(
      (identity) => JSON.stringify(identity) ?? "as we are",
      (error: unknown) => (error as Error).message,
    );
  expect(await why(undefined)).toContain('"user" is missing');
  expect(await why("root")).toContain("root runs no commands");
  expect(await why("nobody:root")).toContain("root runs no commands");
  expect(await why("no-such-user-here")).toBe("there is no user no-such-user-here");
  expect(await why("nobody:no-such-group")).toBe("there is no group no-such-group");
  expect(await why("nobody")).toMatch(/^\{"uid":[1-9]\d*,"gid":[1-9]\d*\}$/);
  expect(await why(undefined, { uid: 1234, gid: 1234 })).toBe("as we are");
  expect(await why("nobody", { uid: 1234, gid: 1234 })).toContain("only a gateway that runs as root");
  if (own.uid !== 0) return;
  const file = join(folder, "who");
  writeFileSync(file, "", { mode: 0o666 });
  const identity = await findIdentity("nobody", own);
  await deliver({ argv: sh("id -u; id -G; exit 1"), identity: () => identity, directory: "/" }).then((said) => {
    expect(told(said)).toContain(`Command output: ${identity?.uid} ${identity?.gid}`);
  });
});
