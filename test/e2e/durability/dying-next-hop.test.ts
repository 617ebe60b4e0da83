// A next-hop that fails at every place where a relay may lose or double mail. What was acknowledged arrives; it arrives twice
// only when the next-hop had the dot and its reply never came whole.
import { describe, expect, it } from "vitest";
import { sample } from "../../sampling.ts";
import { startGateway } from "../gateway.ts";
import { until } from "../until.ts";
import { balance, completion } from "./ledger.ts";
import { isAcknowledged, sendAll } from "./load.ts";
import { startNextHop, type Mood } from "./next-hop.ts";
import { relayTo } from "./relay.ts";

const timeout = 120_000;
const count = sample(60, 2000);
const numbers = Array.from({ length: count }, (_, at) => at);

const moods: readonly Mood[] = [
  "refuse connection",
  "refuse MAIL",
  "refuse a recipient",
  "refuse after the dot",
  "hang up in DATA",
  "hang up after the dot",
  "hang up in the reply",
  "hang up between lines of the reply",
];

/** The next-hop has the message, and the relay cannot know. */
const inDoubt: readonly Mood[] = [
  "hang up after the dot",
  "hang up in the reply",
  "hang up between lines of the reply",
];

describe("a next-hop that fails", () => {
  it.each(moods)("%s: nothing is lost, and nothing doubled without need", { timeout }, async (mood) => {
    // All of the first ones, so that the destination counts as dead once, then every third.
    await using nextHop = await startNextHop({ mood: (at) => (at < 10 || at % 3 === 0 ? mood : "take") });
    await using gateway = await startGateway({ config: relayTo(nextHop.port) });
    const sent = await sendAll(gateway.port, numbers);
    expect(sent.filter(isAcknowledged)).toHaveLength(count);
    await until(() => (nextHop.moods.get(mood) ?? 0) >= 10);
    nextHop.setMood("take");
    await completion(sent, nextHop);
    await gateway.stop();

    const { missing, torn, repeated } = balance(sent, nextHop.arrivals);
    expect({ missing, torn }).toEqual({ missing: [], torn: [] });
    for (const [key, arrivals] of repeated) {
      // Every copy but the last was left in doubt.
      expect([key, arrivals.slice(0, -1).map(({ answered }) => answered)]).toEqual([
        key,
        arrivals.slice(0, -1).map(() => false),
      ]);
    }
    if (!inDoubt.includes(mood)) expect([...repeated.keys()]).toEqual([]);
    else expect(repeated.size).toBeGreaterThan(0);
  });

  it("is down for a while: all arrives once when it is back", { timeout }, async () => {
    const first = await startNextHop();
    await first.close();
    await using gateway = await startGateway({ config: relayTo(first.port) });
    const sent = await sendAll(gateway.port, numbers);
    expect(sent.filter(isAcknowledged)).toHaveLength(count);
    await using nextHop = await startNextHop({ port: first.port });
    await completion(sent, nextHop);
    await gateway.stop();
    const { missing, torn, repeated } = balance(sent, nextHop.arrivals);
    expect({ missing, torn, repeated: [...repeated.keys()] }).toEqual({ missing: [], torn: [], repeated: [] });
  });
});
