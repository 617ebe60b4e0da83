// Sessions with a milter, made from a seed: what the client says, what it sends, and what the milter does about it.
import { randomFrom } from "../sampling.ts";
import { stages, type Plan, type PlanEntry, type PlannedChange, type PlannedEvent } from "../services/pymilter.ts";

export interface SessionStep {
  readonly kind: "command" | "message" | "startTls" | "hangUp";
  /** The command, the message's octets, or the cipher for TLS 1.2. */
  readonly text: string;
}

export interface MilterSession {
  /** Of the client; the plan hangs on it. The third octet says which milters are asked. */
  readonly address: string;
  readonly plan: Plan;
  readonly steps: readonly SessionStep[];
}

type Random = () => number;
const pick = <T>(random: Random, all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
const chance = (random: Random, of: number): boolean => random() < of;

const rulings: readonly PlanEntry[] = [
  "reject",
  "tempfail",
  "accept",
  "discard",
  { reply: ["550", "5.7.1", "go away"] },
  { reply: ["554", "5.7.0", "100%% no", "and again", "for good"] },
  { reply: ["450", "4.2.0", "later"] },
  { reply: ["451", null, "no enhanced code"] },
];
/** 421 ends the session, and so is rare. */
const ending: PlanEntry = { reply: ["421", "4.7.0", "goodbye"] };

function entryFor(random: Random, event: PlannedEvent): PlanEntry {
  if (chance(random, 0.05)) return ending;
  // libmilter itself refuses to say "discard" to these.
  const possible = event === "connect" || event === "helo" ? rulings.filter((each) => each !== "discard") : rulings;
  return pick(random, possible);
}

const names = ["X-One", "X-Two", "Subject", "x-one", "Received", "X-New"];
const values = ["plain", "folded;\n\tsecond=2;\n third", "8-bit \u00fc", "", "  two blanks", "a: b; c"];
const bodies = [
  "new body\r\n",
  "no line end",
  "bare\nLF\nlines\n",
  "",
  ".\r\n..\r\n",
  `${"0123456789".repeat(9)}\r\n`.repeat(1_500),
];

function change(random: Random, isOld: boolean): PlannedChange {
  const name = pick(random, names);
  switch (Math.floor(random() * 9)) {
    case 0:
      return ["addheader", name, pick(random, values) || "x"];
    case 1:
    case 2:
      return ["insheader", 1 + Math.floor(random() * 8), name, pick(random, values) || "x"];
    case 3:
    case 4:
      return ["chgheader", name, Math.floor(random() * 4), pick(random, values)];
    case 5:
      return ["addrcpt", pick(random, ["<added@example.test>", "<two@example.test>", "<r0@example.test>"])];
    case 6:
      return ["delrcpt", pick(random, ["<r0@example.test>", "<r1@example.test>", "<nobody@example.test>"])];
    case 7:
      // Postfix lets a milter of version 2 do what came with version 6.
      return isOld ? ["progress"] : ["chgfrom", pick(random, ["<other@example.net>", "<>"])];
    default:
      return ["progress"];
  }
}

function endOfMessage(random: Random, isOld: boolean): PlanEntry {
  const changes: PlannedChange[] = Array.from({ length: Math.floor(random() * 5) }, () => change(random, isOld));
  if (chance(random, 0.3)) {
    const body = pick(random, bodies);
    const cut = Math.floor(random() * body.length);
    changes.push(["replacebody", body.slice(0, cut)], ["replacebody", body.slice(cut)]);
  }
  if (chance(random, 0.1)) changes.push(["quarantine", "looks odd"]);
  const ruling = chance(random, 0.2) ? pick(random, rulings) : "continue";
  return { changes, ruling };
}

function makePlan(random: Random, isOld: boolean): Plan {
  const plan: Partial<Record<PlannedEvent, readonly PlanEntry[]>> = {};
  if (chance(random, 0.55)) {
    const event = pick(random, stages);
    const calm: PlanEntry[] = Array.from({ length: Math.floor(random() * 3) }, () => "continue");
    plan[event] = [...calm, entryFor(random, event), ...(chance(random, 0.5) ? (["continue"] as const) : [])];
  }
  if (chance(random, 0.1)) plan.unknown = [pick(random, ["reject", "tempfail", "continue"] as const)];
  if (chance(random, 0.1)) plan.body = ["skip"];
  if (plan.eom === undefined && chance(random, 0.8))
    plan.eom = [endOfMessage(random, isOld), endOfMessage(random, isOld)];
  return plan;
}

const fields = [
  "Subject: one",
  "X-One: 1",
  "X-One: 2",
  "x-one:no blank",
  "X-Two:  two blanks",
  "X-Two:\ttab",
  "Subject: folded\r\n here\r\n\tand there",
  "Received: from a by b; Mon, 23 Nov 2026 10:00:00 +0000",
  "X-Eight: \u00fc\u00e4",
  'Cc: r0@example.test, "Q" <q@example.test>',
  "X-Empty:",
];
const contents = [
  "",
  "x\r\n",
  "\r\nblank first\r\n",
  ".\r\n..dots\r\n",
  "8-bit \u00fc\r\n",
  `${"line ".repeat(14)}\r\n`.repeat(1_300),
];

/** One for all: a session is put to two servers. */
const today = new Date().toUTCString();

function makeMessage(random: Random, id: string): string {
  const chosen = Array.from({ length: Math.floor(random() * 6) }, () => pick(random, fields));
  const head = [
    `Date: ${today}`,
    "From: a@example.net",
    "To: r0@example.test",
    `Message-ID: <${id}@example.net>`,
    ...chosen,
    `X-Session: ${id}`,
  ];
  return `${head.join("\r\n")}\r\n\r\n${pick(random, contents)}`;
}

const parametersOfAll = ["", "", " SIZE=1000", " SIZE=20 BODY=8BITMIME", " BODY=8BITMIME"];
const parametersOfLoggedIn = ["", " AUTH=<>", " AUTH=anna+2Bx@example.net", " SIZE=20 AUTH=anna@example.net"];
/** Who the client is and where it came to, as a proxy in front of both has it. */
const proxied = " PORT=4711 LOGIN=anna DESTADDR=192.0.2.25 DESTPORT=587";
const clientNames = [
  "NAME=client.example.org REVERSE_NAME=client.example.org",
  "NAME=client.example.org REVERSE_NAME=other.example.org",
  "NAME=[UNAVAILABLE] REVERSE_NAME=[UNAVAILABLE]",
  "NAME=[TEMPUNAVAIL] REVERSE_NAME=[UNAVAILABLE]",
];
const refused = ["somebody@elsewhere.invalid", "nobody@example.test", "barred@example.test", "later@example.test"];

function makeSteps(random: Random, address: string, plan: Plan): SessionStep[] {
  const command = (text: string): SessionStep => ({ kind: "command", text });
  const steps = [command("EHLO client.example.net")];
  // Where a milter has refused the session already, Postfix refuses STARTTLS.
  if (chance(random, 0.2) && plan.connect === undefined && plan.helo === undefined) {
    steps.push(
      { kind: "startTls", text: pick(random, ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]) },
      command("EHLO client.example.net"),
    );
  }
  const isLoggedIn = chance(random, 0.25);
  if (isLoggedIn)
    steps.push(command(`XCLIENT ${pick(random, clientNames)}${proxied}`), command("EHLO proxied.example.net"));
  const transactions = 1 + Math.floor(random() * 2.5);
  for (let count = 0; count < transactions; count += 1) {
    if (chance(random, 0.15)) steps.push(command("XYZZY plugh"));
    if (chance(random, 0.1)) steps.push(command("HELO client.example.net"));
    const parameters = pick(random, isLoggedIn ? parametersOfLoggedIn : parametersOfAll);
    steps.push(command(`MAIL FROM:<${pick(random, ["a@example.net", "a@example.net", ""])}>${parameters}`));
    const recipients = 1 + Math.floor(random() * 3);
    for (let at = 0; at < recipients; at += 1) {
      while (chance(random, 0.2)) steps.push(command(`RCPT TO:<${pick(random, refused)}>`));
      steps.push(command(`RCPT TO:<r${at}@example.test>${chance(random, 0.1) ? " NOTIFY=NEVER" : ""}`));
    }
    if (chance(random, 0.1)) steps.push(command(`RCPT TO:<${pick(random, refused)}> NOTIFY=NEVER`));
    if (chance(random, 0.1)) {
      steps.push(command("RSET"));
      continue;
    }
    if (chance(random, 0.08)) {
      steps.push({ kind: "hangUp", text: "" });
      return steps;
    }
    // libmilter ignores, and never answers, what comes behind a refused DATA: RSET, as every client does.
    steps.push({ kind: "message", text: makeMessage(random, `${address}-${count}`) }, command("RSET"));
  }
  steps.push(command("QUIT"));
  return steps;
}

/** `variants`: how many sets of milters there are; sessions take them in turn. `oldVariant`: the set that is spoken to in version 2. */
export function makeSessions(seed: number, count: number, variants: number, oldVariant = 4): MilterSession[] {
  return Array.from({ length: count }, (_, index) => {
    const random = randomFrom(seed * 100_003 + index);
    const turn = Math.floor(index / variants);
    const address = `127.${1 + Math.floor(turn / 250)}.${index % variants}.${1 + (turn % 250)}`;
    const plan = makePlan(random, index % variants === oldVariant);
    return { address, plan, steps: makeSteps(random, address, plan) };
  });
}
