// Whatever a plugin does at any one point: the declared policy stands, its name is in the log, other sessions go on.
import { describe, expect, test } from "vitest";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";
import { smtp } from "./dialogue.ts";
import { hostileKinds, type HostileKind } from "./hostile.ts";
import { hostilePlugin } from "./hostile-plugin.ts";
import { createTestGateway } from "./test-gateway.ts";

const decisions = ["connect", "helo", "mail", "rcpt", "data", "headers", "message", "modify"].map(
  (name) => `smtp.${name}`,
);
const reports = ["smtp.closed", "smtp.reset", "queue.enqueued", "queue.delivered", "queue.removed", "delivery.attempt"];
const points = [...decisions, ...reports, "delivery.route", "word", "scanner"];
/** What is an answer after all: silence, or a refusal in too many words. */
const harmless = ["late", "thenTwice"];

/** Moves the gateway's time until `work` is done; for a late answer only real time passes. */
async function drive(clock: FakeClock, kind: HostileKind, work: Promise<void>): Promise<void> {
  let over = false;
  void work.finally(() => (over = true));
  for (let turn = 0; !over && turn < 2_000; turn += 1) {
    await clock.run(kind.startsWith("late") ? 0 : 500);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (!over) throw new Error("it did not come to an end");
}

describe.each(hostileKinds)("%s", (kind) => {
  test.each(points)("at %s", async (point) => {
    const clock = createFakeClock();
    const gateway = await createTestGateway(
      { domains: { relay: ["example.test"] }, policy: { rcpt: point === "word" ? ["hostile_word"] : [] } },
      { clock, plugins: [[hostilePlugin(kind, [point]), { onError: "defer", deadline: "5s" }]] },
    );
    let said = "";
    const talk = (async () => {
      try {
        const dialogue = smtp(gateway, { bare: true });
        said = await dialogue;
        for (const line of ["EHLO x.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@example.test>"]) {
          if (/^[45]/.test(said)) return;
          said = await dialogue.say(line);
        }
        if (!/^[45]/.test(said)) said = await dialogue.data("Subject: x\n\nx\n");
      } catch (error) {
        said = `hung up: ${String(error)}`;
      }
    })();
    await drive(clock, kind, talk);
    await drive(clock, kind, gateway.close());

    const decides = [...decisions, "word", "scanner"].includes(point);
    if (!decides || harmless.includes(kind)) expect(said).toMatch(/^250 2\.0\.0 /);
    else if (kind === "megabyte") expect(said).toMatch(/^(550 5\.7\.1 [^\r\n]{0,500}|451 4\.3\.0 [^\r\n]*)$/);
    else expect(said).toMatch(/^4[25]1 4\.3\.0 [^\r\n]*$/);
    expect(said).not.toMatch(/shadow|thrown|rejected by/);

    for (const line of gateway.log) expect(line).not.toMatch(/[\r\n]/);
    const failed = gateway.log.filter((line) => line.includes("plugin hostile"));
    if (decides && ![...harmless, "megabyte"].includes(kind)) expect(failed.length).toBeGreaterThan(0);
  });
});
