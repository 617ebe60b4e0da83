// DNS in trouble while a session is judged: what is not known is not held against anybody for good, nobody waits for each word anew, and
// the session goes on. The name server is a real one that is stopped and runs again.
import { createResolver } from "@postern/core";
import access from "@postern/plugin-access";
import { createTestGateway, smtp, type TestGateway } from "@postern/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith, startKnot, temporaryFolder, type Knot } from "../services/index.ts";

const zones = {
  "good.test": "@ MX 10 mx\nmx A 192.0.2.25\nclient A 192.0.2.1",
  "2.0.192.in-addr.arpa": "1 PTR client.good.test.",
  "bl.test": "9.2.0.192 A 127.0.0.2",
};

/** What a stranger at client.good.test hears at RCPT from this word, while DNS answers and while it does not. */
const cases: readonly [word: string, answering: RegExp, dead: RegExp][] = [
  ["reject_unknown_sender_domain", /^250 /, /^450 4\.1\.8 /],
  ["reject_unknown_helo_hostname", /^250 /, /^450 4\.7\.1 /],
  ["reject_unknown_client_hostname", /^250 /, /^450 4\.7\.25 /],
  ["reject_unknown_reverse_client_hostname", /^250 /, /^450 4\.7\.1 /],
  // As in Postfix, a list that cannot be asked lists nobody.
  ["reject_rbl_client bl.test", /^250 /, /^250 /],
  ["check_sender_mx_access inline:{ { 192.0.2.25 = REJECT } }", /^554 5\.7\.1 /, /^250 /],
];

describeWith(["knotd", "kdig", "knotc"], "DNS in trouble", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let knot: Knot;
  beforeAll(async () => {
    folder = temporaryFolder();
    knot = await startKnot({ folder: folder.path, zones });
  });
  afterAll(async () => {
    await knot?.stop();
    folder?.[Symbol.dispose]();
  });

  const startGateway = (word: string): Promise<TestGateway> =>
    createTestGateway(
      { domains: { relay: ["ours.test"] }, networks: [], policy: { rcpt: [word] } },
      {
        plugins: [access],
        dns: createResolver({ servers: [knot.server], timeoutMs: 100, attempts: 2, failureTtlMs: 150 }),
      },
    );
  const ask = async (gateway: TestGateway): Promise<string> => {
    const client = smtp(gateway, { remoteAddress: "192.0.2.1", bare: true });
    await client.say("EHLO client.good.test");
    await client.say("MAIL FROM:<joe@good.test>");
    const reply = await client.say("RCPT TO:<ann@ours.test>");
    await client.say("NOOP").expect(/^250 /);
    client.hangUp();
    return reply;
  };

  test.each(cases)("is never held against anybody for good: %s", async (word, answering, dead) => {
    await using gateway = await startGateway(word);
    await knot.pause();
    try {
      expect(await ask(gateway)).toMatch(dead);
    } finally {
      knot.resume();
    }
    await expect.poll(() => ask(gateway)).toMatch(answering);
  });
});
