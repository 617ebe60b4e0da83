// The same policy, tables, names and sessions given to a real Postfix and to Postern: each command gets the same reply code and the
// same enhanced code. What differs on purpose has a name in sessions/differences.ts.
//
// POSTERN_TEST_SEED=n repeats a run, POSTERN_TEST_POLICY=p7 one policy of it.
import { connect } from "node:net";
import { randomInt } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestGateway } from "@postern/testkit";
import { sample, seed } from "../sampling.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { startKnot, type Knot } from "../services/knot.ts";
import { createChance } from "./sessions/chance.ts";
import { converse, type Reply } from "./sessions/conversation.ts";
import { explain } from "./sessions/differences.ts";
import { deadZones } from "./sessions/names.ts";
import { makePolicy, type SessionPolicy } from "./sessions/policy.ts";
import { parameters, settingsOf, startReal, type RealServer } from "./sessions/postfix.ts";
import { readVocabulary, startOwn } from "./sessions/postern.ts";
import { makeSession, shorterSessions, type Session } from "./sessions/session.ts";
import { writeTable } from "./sessions/tables.ts";
import { words } from "./sessions/words.ts";
import { makeZones } from "./sessions/zone.ts";

const policyCount = sample(40, 400);
const sessionsEach = sample(25, 60);
const shownFailures = 5;

interface Outcome {
  readonly theirs: readonly Reply[];
  readonly ours: readonly Reply[];
  /** Of the first pair that differs. */
  readonly at: number;
  readonly explained: string | undefined;
}

const tally = {
  sessions: 0,
  commands: 0,
  refused: 0,
  explained: new Map<string, number>(),
  words: new Map<string, number>(),
};
const count = (map: Map<string, number>, key: string, more = 1): void => void map.set(key, (map.get(key) ?? 0) + more);

/** Says a session to both servers; the reply of the shorter row that is missing counts as `closed`. */
async function compare(policy: SessionPolicy, session: Session, port: number, own: TestGateway): Promise<Outcome> {
  const logged = own.log.length;
  const [theirs, ours] = await Promise.all([
    converse(connect(port, "127.0.0.1"), session),
    converse(own.connect({ remoteAddress: "127.0.0.1" }), session),
  ]);
  const longest = Math.max(theirs.length, ours.length);
  let at = 0;
  while (at < longest && theirs[at]?.code === ours[at]?.code) at += 1;
  if (at === longest) return { theirs, ours, at, explained: undefined };
  const missing = { line: "?", code: "closed", text: "" };
  const log = own.log.slice(logged).join("\n");
  const pair = { theirs: theirs[at] ?? missing, ours: ours[at] ?? missing };
  const said = theirs.slice(0, at).map(({ line }) => line);
  const before = said.slice(said.findLastIndex((line) => line.startsWith("MAIL")));
  return { theirs, ours, at, explained: explain({ policy, session, ...pair, before, log }) };
}

const differs = ({ theirs, ours, at, explained }: Outcome): boolean =>
  at < Math.max(theirs.length, ours.length) && explained === undefined;

/** Lines left out one by one, as long as what is left still differs. */
async function shorten(policy: SessionPolicy, session: Session, port: number, own: TestGateway): Promise<Session> {
  for (const shorter of shorterSessions(session)) {
    if (differs(await compare(policy, shorter, port, own))) return shorten(policy, shorter, port, own);
  }
  return session;
}

function tell(policy: SessionPolicy, session: Session, { theirs, ours, at }: Outcome): string {
  const rows = Array.from({ length: Math.max(theirs.length, ours.length) }, (_, index) => {
    const [real, own] = [theirs[index], ours[index]];
    const mark = index === at ? ">" : " ";
    return `${mark} ${real?.line ?? own?.line}\n    Postfix ${real?.text.replaceAll("\n", " ")}\n    Postern ${own?.text.replaceAll("\n", " ")}`;
  });
  return [
    `policy ${policy.name} of seed ${seed}, smtpd_delay_reject ${policy.delayReject ? "yes" : "no"}, client ${JSON.stringify(session.client)}`,
    ...Object.entries(settingsOf(policy)).map(([key, text]) => `${key} = ${text}`),
    ...policy.tables.flatMap(({ file, text }) => (file === undefined ? [] : [`--- ${file}`, (text ?? "").trimEnd()])),
    "---",
    ...rows,
  ].join("\n");
}

describeWith(["postfix", "knotd", "kdig", "unshare", "root"], `sessions, the same as Postfix (seed ${seed})`, () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let knot: Knot;
  let real: RealServer;
  let zones: Record<string, string>;
  const policies: SessionPolicy[] = [];

  beforeAll(async () => {
    folder = temporaryFolder();
    const vocabulary = await readVocabulary();
    for (const { name } of words) if (!vocabulary.has(name)) count(tally.explained, `no word ${name}`);
    zones = { ...makeZones(createChance(seed)) };
    // Postfix asks on port 53 alone, so the address is what nobody else may have.
    const address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
    knot = await startKnot({ folder: folder.path, address, port: 53, zones, dead: deadZones });
    for (let index = 0; index < policyCount; index += 1) {
      const name = `p${index}`;
      const policy = makePolicy(createChance(seed * 10_007 + index), name, vocabulary, folder.path);
      if ((process.env.POSTERN_TEST_POLICY ?? name) !== name) continue;
      for (const table of policy.tables) writeTable(table);
      for (const [word, times] of policy.used) count(tally.words, word, times);
      policies.push(policy);
    }
    real = await startReal(policies, { folder: folder.path, nameServer: address });
  }, 120_000);
  afterAll(async () => {
    await real?.postfix.stop();
    await knot?.stop();
    folder?.[Symbol.dispose]();
  });

  async function runPolicy(policy: SessionPolicy, failures: string[]): Promise<void> {
    await using own = await startOwn(policy, knot.server);
    const port = real.ports.get(policy) ?? 0;
    const chance = createChance(seed * 1_000_003 + Number(policy.name.slice(1)));
    for (let index = 0; index < sessionsEach && failures.length < shownFailures; index += 1) {
      const session = makeSession(chance);
      const outcome = await compare(policy, session, port, own);
      tally.sessions += 1;
      tally.commands += outcome.at;
      tally.refused += outcome.theirs.filter(({ code }) => /^[45]/.test(code)).length;
      if (outcome.explained !== undefined) count(tally.explained, outcome.explained);
      if (!differs(outcome)) continue;
      // Silence takes too long to be tried again and again.
      const isSilent = [outcome.theirs, outcome.ours].some((replies) => replies.at(-1)?.code === "silent");
      const least = isSilent ? session : await shorten(policy, session, port, own);
      failures.push(tell(policy, least, await compare(policy, least, port, own)));
      return;
    }
  }

  test(
    "each command gets the same code and enhanced code",
    async () => {
      const failures: string[] = [];
      const waiting = policies.values();
      // Several at a time: each waits for the other side most of the time.
      await Promise.all(
        Array.from({ length: 4 }, async () => {
          for (const policy of waiting) await runPolicy(policy, failures);
        }),
      );
      expect(failures.join("\n\n"), `${failures.length} policies differ`).toBe("");
      // So that two who say nothing are not the same.
      if (policies.length > 10) expect(tally.refused).toBeGreaterThan(tally.sessions / 2);
    },
    sample(60_000, 1_800_000),
  );

  test("what was compared", () => {
    const sorted = (map: Map<string, number>) =>
      [...map].toSorted(([, one], [, other]) => other - one).map(([key, times]) => `${key} ${times}`);
    console.info(
      [
        `${tally.sessions} sessions, ${tally.commands} commands agree, ${tally.refused} refusals; lists are ${Object.values(parameters).join(", ")}`,
        `left out or meant: ${sorted(tally.explained).join(", ")}`,
        `words: ${sorted(tally.words).join(", ")}`,
      ].join("\n"),
    );
    expect(tally.sessions).toBeGreaterThan(0);
  });
});
