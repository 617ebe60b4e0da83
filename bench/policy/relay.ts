/** Two relays side by side, one with twelve words on local tables in `rcpt` and one without any: what the words cost. */
import { join } from "node:path";
import { freePort } from "../../test/services/ports.ts";
import type { CaseOptions, Figure, FigureCase } from "../lib/figure-case.ts";
import { median } from "../lib/statistics.ts";
import { startPostern, untilGreeting } from "../relay/postern.ts";
import { runLoad, type Rates } from "../relay/run.ts";
import { startSink } from "../relay/sink.ts";

const load = {
  label: "4 KiB, many a session",
  messages: 20_000,
  sizeBytes: 4096,
  sessions: 20,
  keepSession: true,
  latency: { messages: 0, messagesPerSecond: 1 },
};

/** A load is over in a few seconds, and a machine has moods: for each run so many. */
const rounds = 3;

export const relayCase: FigureCase = {
  name: "relay",
  what: "messages of 4 KiB through two relays in turn, with twelve words in `rcpt` on local tables and without any",
  needs: ["smtp-source", "smtp-sink"],
  async measure({ folder, runs, quick }: CaseOptions): Promise<readonly Figure[]> {
    const sink = startSink(await freePort());
    await untilGreeting(sink.port);
    const start = async (name: string, config: object) =>
      startPostern({ folder: join(folder, name), port: await freePort(), sinkPort: sink.port, config: { ...config } });
    const words = await start("words", {});
    const none = await start("none", { policy: { rcpt: [] } });
    const messages = quick ? load.messages / 10 : load.messages;
    const measured = new Map<typeof words, Rates[]>([
      [words, []],
      [none, []],
    ]);
    try {
      for (let run = 0; run <= runs * rounds; run += 1) {
        // Each goes first as often as the other; the first round warms both up.
        const order = run % 2 === 0 ? [words, none] : [none, words];
        for (const system of order) {
          const rates = await runLoad(system, sink, { ...load, messages });
          if (run > 0) measured.get(system)?.push(rates);
        }
      }
    } finally {
      await words.stop();
      await none.stop();
      sink.stop();
    }
    const of = (system: typeof words, figure: keyof Rates): number =>
      median((measured.get(system) ?? []).map((rates) => rates[figure]));
    const [withWords, without] = [of(words, "endToEndPerSecond"), of(none, "endToEndPerSecond")];
    const [cpuWith, cpuWithout] = [of(words, "cpuPerThousand"), of(none, "cpuPerThousand")];
    return [
      { what: "twelve words", value: withWords, unit: "/s" },
      { what: "no words", value: without, unit: "/s" },
      { what: "rate that the words cost", value: (1 - withWords / without) * 100, unit: "%", goal: { most: 10 } },
      { what: "CPU that the words cost", value: (cpuWith / cpuWithout - 1) * 100, unit: "%" },
      { what: "CPU of a word and message", value: ((cpuWith - cpuWithout) / 12) * 1000, unit: "µs" },
    ];
  },
};
