// As the end of a pipe: nothing is lost, doubled or overtaken, whatever the packets and whenever the answers.
import { PassThrough, type Writable } from "node:stream";
import { expect, test } from "vitest";
import { CommandStream } from "./command-stream.ts";

function seeded(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) & 0x7fffffff) / 0x80000000;
}

test.for(Array.from({ length: 40 }, (_, at) => [at + 1] as const))("commands of seed %i", async ([seed]) => {
  const random = seeded(seed * 7919);
  const lines = Array.from({ length: Math.floor(random() * 4000) + 1 }, (_, at) =>
    `NOOP ${at} ${"x".repeat(random() * 60)}`.trim(),
  );
  const octets = Buffer.from(lines.map((line) => `${line}\r\n`).join(""));
  const slowness = random() * 0.2;
  const later = () => new Promise<void>((go) => (random() < 0.5 ? setImmediate(go) : queueMicrotask(go)));
  const taken: string[] = [];
  let underWay = 0;
  let overlaps = 0;
  let settled = 0;
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const stream = new CommandStream(
    {
      command(line) {
        if (underWay > 0) overlaps += 1;
        taken.push(line);
        if (random() >= slowness) return undefined;
        underWay += 1;
        return later().then(() => void (underWay -= 1));
      },
      malformed: (fault) => void taken.push(fault),
      tooEarly: () => false,
      settled(commands) {
        settled += commands;
        return random() < 0.3 ? later() : undefined;
      },
      inputEnded: end,
      broken: (error) => void taken.push(String(error)),
      longestLineBytes: 512,
    },
    false,
  );
  const source = new PassThrough();
  // A pipe calls write with octets alone.
  const sink: unknown = stream;
  source.pipe(sink as Writable);
  for (let at = 0; at < octets.length;) {
    const length = Math.ceil(random() < 0.3 ? random() * 3 : random() * 30_000);
    source.write(octets.subarray(at, at + length));
    at += length;
    if (random() < 0.3) await later();
  }
  source.end();
  await ended;
  expect(taken).toEqual(lines);
  expect({ overlaps, settled }).toEqual({ overlaps: 0, settled: lines.length });
});
