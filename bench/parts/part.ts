/** One part on the way of a message, alone. */
export interface Part {
  readonly name: string;
  /** What is in the figure, for the reader. */
  readonly covers: string;
  /** Puts that many messages through; only what happens between call and end is measured. */
  run(messages: number): Promise<void> | void;
  close?(): Promise<void>;
}

export interface PartScope {
  /** The part's own; not there yet. */
  readonly folder: string;
  readonly sizeBytes: number;
}

/** User and system time of this process, all threads, in microseconds a message. */
export async function measurePart(part: Part, messages: number): Promise<number> {
  const before = process.cpuUsage();
  await part.run(messages);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / messages;
}

/** Keeps `atOnce` under way until `count` are done. */
export async function inParallel(count: number, atOnce: number, one: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await one(index);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}
