// What is over is gone with the next scavenge: a message whose buffers wait for a full collection costs memory and time.
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { createFront, Talk } from "./front.fixture.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as (options: { type: "minor" | "major" }) => void;

const line = `${"x".repeat(76)}\r\n`;
const content = `Subject: x\r\n\r\n${line.repeat(3_000)}`;

test("the octets of a message that was scanned, hooked and queued die young", async () => {
  const owner = { name: "probe", onError: "defer", deadlineMs: 10_000 } as const;
  const later = () => new Promise<undefined>((resolve) => setImmediate(resolve, undefined));
  const front = await createFront({
    enqueue: async () => undefined,
    scanners: [{ owner, scanner: { name: "later", description: "", onError: "defer", scan: later } }],
    taps: (hooks) => {
      for (const group of Object.values(hooks)) for (const hook of Object.values(group)) hook.tap(() => undefined);
    },
  });
  const { port } = await front.listener.listen();
  const talk = new Talk(connect(port, "127.0.0.1"));
  await talk.reply();
  await talk.say("EHLO client.test");
  const send = async () => {
    await talk.say("MAIL FROM:<a@there.test>");
    await talk.say("RCPT TO:<b@ours.test>");
    await talk.say("DATA");
    talk.send(content);
    expect(await talk.say(".")).toMatch(/^250 /);
  };
  for (let count = 0; count < 20; count += 1) await send();
  collect({ type: "major" });
  collect({ type: "major" });
  const before = process.memoryUsage().arrayBuffers;
  for (let count = 1; count <= 100; count += 1) {
    await send();
    if (count % 5 === 0) collect({ type: "minor" });
  }
  // Twice: what the first finds dead is let go of beside us.
  collect({ type: "minor" });
  collect({ type: "minor" });
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10 * content.length);
  await talk.say("QUIT");
  await front.listener.close(1000);
});
