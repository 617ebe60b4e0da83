/**
 * A life of the segment store on a simulated disk: commits, settles, removals and reads, faults and power cuts, all chosen by a seed. After
 * every restart, and now and then in between, what the store knows is compared with what it has promised:
 * every acknowledged message is there, whole, once; settled recipients stay settled; what was removed stays away; nothing else is there.
 * What was asked for and never answered may have happened or not.
 */
import { concatBlobs, createMemoryBlob, createSpoolBlob } from "../message/index.ts";
import { delivered, type Clock, type QueuedMessage } from "../model/index.ts";
import type { Planted } from "./planted-faults.ts";
import { seededRandom } from "./seeded-random.ts";
import { marker, segmentHeaderBytes } from "./segment-format.ts";
import { createSegmentStore } from "./segment-store.ts";
import { type DiskCall, type DiskFaults, SimulatedDisk } from "./simulated-disk.ts";
import type { QueueStore, Settlement } from "./store.ts";
import { readAll, sampleMessage, unbufferedBlob } from "./store-suite.ts";

export interface SimulationResult {
  readonly violations: readonly string[];
  /** Errors, short writes, full disks and power cuts that happened. */
  readonly faults: number;
}

/** What the store has promised of a message. */
interface Promised {
  readonly message: QueuedMessage;
  readonly octets: Buffer;
  /** `refused`: not there, unless a power cut brings back what was half written. */
  state: "asked" | "acknowledged" | "refused";
  readonly settled: Map<number, { readonly outcome: Settlement["outcome"]; known: boolean }>;
  removal: "none" | "asked" | "acknowledged";
}

export interface SimulationOptions {
  /** A mistake between the store and its disk. */
  readonly planted?: Planted;
  /** Told what happens, a line each. */
  readonly trace?: (line: string) => void;
}

export async function simulate(seed: number, options: SimulationOptions = {}): Promise<SimulationResult> {
  const life = new Life(seed, options);
  await life.run().catch((error: unknown) => life.violations.push(`seed ${seed}: ${String(error)}`));
  return { violations: life.violations, faults: life.faults };
}

/** A clock moved by hand, with its timers. */
class HandClock implements Clock {
  #now = 1_780_000_000_000;
  #timers: { readonly at: number; readonly call: () => void }[] = [];

  now(): number {
    return this.#now;
  }
  monotonic(): number {
    return this.#now;
  }
  setTimer(call: () => void, delayMs: number) {
    const timer = { at: this.#now + delayMs, call };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }
  advance(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    for (const { call } of due) call();
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

class Life {
  readonly violations: string[] = [];
  faults = 0;
  readonly #seed: number;
  readonly #random: () => number;
  readonly #planted: Planted;
  readonly #trace: (line: string) => void;
  readonly #clock = new HandClock();
  /** All there were when the store was opened. */
  readonly #checkpoints: Buffer[] = [];
  readonly #promised = new Map<string, Promised>();
  readonly #faulty: DiskFaults;
  /** Chances of this life. */
  readonly #errorRate: number;
  readonly #shortRate: number;
  #sound = false;
  #disk: SimulatedDisk;
  #store: QueueStore;

  constructor(seed: number, { planted = (port) => port, trace = () => undefined }: SimulationOptions) {
    this.#seed = seed;
    this.#random = seededRandom(seed);
    this.#planted = planted;
    this.#trace = trace;
    this.#errorRate = this.#pickOf([0, 0, 0.01, 0.05]);
    this.#shortRate = this.#pickOf([0, 0.2]);
    this.#faulty = { next: (call) => this.#nextFault(call) };
    this.#disk = SimulatedDisk.of(new Map(), ["", "/var"], this.#random, this.#faulty);
    this.#store = this.#newStore();
  }

  async run(): Promise<void> {
    const epochs = 2 + this.#pick(3);
    for (let epoch = 0; epoch < epochs && this.violations.length === 0; epoch += 1) {
      await this.#open();
      if (this.violations.length > 0) return;
      const cut = this.#random() < 0.75;
      this.#disk.capacityBytes = this.#random() < 0.2 ? 4000 + this.#pick(30_000) : Infinity;
      this.#trace(
        `life ${epoch + 1} of ${epochs}: ends by ${cut ? "a power cut" : "closing"}, disk of ${this.#disk.capacityBytes} octets`,
      );
      if (cut) this.#disk.cutAt = this.#disk.calls + this.#pick(300);
      const steps = 20 + this.#pick(120);
      for (
        let step = 0;
        (cut ? !this.#disk.isCut && step < 2000 : step < steps) && this.violations.length === 0;
        step += 1
      )
        await this.#step();
      if (cut) this.#cutPower();
      else await this.#close();
    }
    await this.#open();
  }

  async #step(): Promise<void> {
    const dice = this.#random();
    if (dice < 0.35) this.#commit();
    else if (dice < 0.5) this.#settle();
    else if (dice < 0.6) this.#reschedule();
    else if (dice < 0.75) this.#remove();
    else if (dice < 0.78) await this.#read();
    else if (dice < 0.9) this.#clock.advance(this.#pickOf([1, 20, 1500]));
    for (let turns = this.#pick(3); turns > 0; turns -= 1) await turn();
  }

  #commit(): void {
    const id = `m${this.#promised.size}`;
    const octets = this.#newContent();
    const dice = this.#random();
    const blob = dice < 0.8 ? createMemoryBlob([octets]) : unbufferedBlob(octets);
    const { message } = sampleMessage(id, 1 + this.#pick(3), blob);
    const promised: Promised = { message, octets, state: "asked", settled: new Map(), removal: "none" };
    this.#promised.set(id, promised);
    this.#trace(`commit ${id}, ${message.envelope.recipients.length} recipients, ${octets.length} octets`);
    const committed = dice < 0.7 ? this.#store.commit(message, blob) : this.#commitIncoming(message, octets);
    committed.then(
      () => {
        promised.state = "acknowledged";
        this.#trace(`  ${id} is acknowledged`);
      },
      (error: unknown) => {
        promised.state = "refused";
        this.#trace(`  ${id} is refused: ${String(error)}`);
      },
    );
  }

  /** As a large message comes: in a file of the store's, the beginning of which was replaced by something in memory. */
  async #commitIncoming(message: QueuedMessage, octets: Buffer): Promise<void> {
    const store = this.#store;
    const file = await store.incoming?.create();
    if (file === undefined) throw new Error("the store has no files for what comes in");
    const inMemory = this.#pick(octets.length + 1);
    const from = this.#pickOf([0, 7, 300]);
    try {
      await file.append([Buffer.alloc(from, "x"), octets.subarray(inMemory)]);
      const rest = createSpoolBlob(file, octets.length - inMemory, from);
      await store.commit(message, concatBlobs([createMemoryBlob([octets.subarray(0, inMemory)]), rest]));
    } finally {
      await file.dispose();
    }
  }

  /** Noise, large or small, sometimes with a piece of the log in it. */
  #newContent(): Buffer {
    const octets = Buffer.alloc(this.#pickOf([0, 10, 200, 700, 1300, 1300, 2000]));
    for (let at = 0; at < octets.length; at += 1) octets[at] = this.#pick(256);
    if (this.#random() < 0.4) {
      const logs = this.#disk.paths().filter((path) => path.endsWith(".log"));
      const log = this.#random() < 0.5 ? logs.toSorted().at(-1) : logs[this.#pick(logs.length)];
      if (log !== undefined) this.#recordsOf(this.#disk.octetsOf(log)).copy(octets);
    }
    return octets;
  }

  /** A log from one of its records on. */
  #recordsOf(log: Buffer): Buffer {
    const first = log.indexOf(marker, this.#pick(log.length));
    return log.subarray(first < 0 ? segmentHeaderBytes : first);
  }

  #acknowledged(): Promised | undefined {
    const some = [...this.#promised.values()].filter(
      ({ state, removal }) => state === "acknowledged" && removal === "none",
    );
    return some[this.#pick(some.length)];
  }

  #settle(): void {
    const promised = this.#acknowledged();
    const index = this.#pick(promised?.message.envelope.recipients.length ?? 1);
    if (promised === undefined || promised.settled.has(index)) return;
    const settled = { outcome: delivered(`250 ${this.#pick(1e9)}`), known: false };
    promised.settled.set(index, settled);
    const { id } = promised.message;
    this.#trace(`settle recipient ${index} of ${id}`);
    this.#store.settle(id, [{ index, outcome: settled.outcome }]).then(
      () => {
        settled.known = true;
        this.#trace(`  recipient ${index} of ${id} is settled`);
      },
      () => undefined,
    );
  }

  #reschedule(): void {
    const promised = this.#acknowledged();
    if (promised === undefined) return;
    this.#trace(`reschedule ${promised.message.id}`);
    this.#store.reschedule(promised.message.id, {
      attempts: 1,
      nextAttemptAt: this.#clock.now() + this.#pick(1e6),
      reason: "later",
    });
  }

  #remove(): void {
    const promised = this.#acknowledged();
    if (promised === undefined) return;
    promised.removal = "asked";
    const { id } = promised.message;
    this.#trace(`remove ${id}`);
    this.#store.remove(id).then(
      () => {
        promised.removal = "acknowledged";
        this.#trace(`  ${id} is removed`);
      },
      () => undefined,
    );
  }

  /** Reads one message while the log is written and compacted. */
  async #read(): Promise<void> {
    const promised = this.#acknowledged();
    if (promised === undefined) return;
    const before = this.#disk.isCut;
    const reading = this.#check(promised, false).catch((error: unknown) => {
      // Only a disk that fails may keep us from it.
      if (this.#errorRate === 0) this.violations.push(`${promised.message.id} cannot be read: ${String(error)}`);
    });
    let over = before;
    void reading.then(() => (over = true));
    for (let turns = 0; !over && !this.#disk.isCut && turns < 200; turns += 1) await turn();
  }

  async #close(): Promise<void> {
    this.#sound = true;
    this.#disk.capacityBytes = Infinity;
    this.#trace("close");
    await this.#store.close();
    this.#store = this.#newStore();
  }

  #cutPower(): void {
    this.faults += 1;
    this.#trace("the power is cut");
    this.#disk = this.#disk.afterPowerCut(this.#faulty);
    // Nobody will ever answer now: what was asked may have happened.
    for (const promised of this.#promised.values()) if (promised.state === "refused") promised.state = "asked";
    this.#store = this.#newStore();
  }

  #newStore(): QueueStore {
    return createSegmentStore({
      directory: "/var/queue",
      clock: this.#clock,
      port: this.#planted(this.#disk),
      random: this.#random,
      minFreeBytes: 0,
      reserveBytes: this.#pickOf([0, 3000]),
      spoolAboveBytes: this.#pickOf([500, 1500]),
      segmentBytes: this.#pickOf([1500, 6000, 20_000]),
      handOffBytes: this.#pickOf([0, 8000]),
      onError: () => undefined,
    });
  }

  /** Opens, perhaps with the power going in the middle of it, and compares. */
  async #open(): Promise<void> {
    this.#sound = false;
    this.#harmCheckpoint();
    for (let cuts = this.#pick(3); cuts > 0; cuts -= 1) {
      this.#disk.cutAt = this.#disk.calls + this.#pick(30);
      let over = false;
      void this.#store.open().then(
        () => (over = true),
        () => (over = true),
      );
      while (!over && !this.#disk.isCut) await turn();
      this.#cutPower();
    }
    this.#sound = true;
    await this.#store.open();
    this.#trace(`opened: ${this.#store.size} messages`);
    await this.#compare();
    this.#sound = false;
  }

  async #compare(): Promise<void> {
    const found = new Set<string>();
    for (const { id } of this.#store.waiting()) {
      if (found.has(id)) this.#violate(id, "is there twice");
      found.add(id);
    }
    if (found.size !== this.#store.size)
      this.violations.push(`seed ${this.#seed}: waiting gives ${found.size} of ${this.#store.size}`);
    for (const [id, promised] of this.#promised) {
      const isThere = found.delete(id);
      if (promised.state === "acknowledged" && promised.removal === "none" && !isThere) this.#violate(id, "is lost");
      if (promised.removal === "acknowledged" && isThere) this.#violate(id, "came back after its removal");
      if (promised.state === "refused" && isThere) this.#violate(id, "is there, and was refused");
      if (isThere) {
        promised.state = "acknowledged";
        promised.removal = "none";
        await this.#check(promised, true).catch((error: unknown) =>
          this.#violate(id, `cannot be read: ${String(error)}`),
        );
      } else if (promised.removal !== "none" || promised.state === "asked")
        this.#promised.set(id, { ...promised, state: "refused", removal: "none" });
    }
    for (const id of found) this.#violate(id, "was never committed");
  }

  async #check(promised: Promised, restarted: boolean): Promise<void> {
    const { message, octets, settled } = promised;
    const { id } = message;
    const entry = await this.#store.entry(id);
    const blob = await this.#store.content(id);
    const content = blob && (await readAll(blob));
    // Removed while it was read.
    if (!restarted && promised.removal !== "none") return;
    if (entry === undefined || content === undefined) return this.#violate(id, "has no entry or content");
    if (JSON.stringify(entry.message) !== JSON.stringify(message)) this.#violate(id, "has another envelope");
    if (!content.equals(octets)) this.#violate(id, "has another content");
    const there = new Map(entry.settled.map(({ index, outcome }) => [index, outcome]));
    for (const [index, { outcome, known }] of settled) {
      const now = there.get(index);
      if (now === undefined && known) this.#violate(id, `recipient ${index} is not settled any more`);
      if (now !== undefined && now.text !== outcome.text) this.#violate(id, `recipient ${index} has another outcome`);
      if (restarted && now === undefined) settled.delete(index);
      if (restarted && now !== undefined) settled.set(index, { outcome, known: true });
      there.delete(index);
    }
    if (there.size > 0) this.#violate(id, "has a settled recipient that nobody settled");
  }

  #violate(id: string, text: string): void {
    this.violations.push(`seed ${this.#seed}: message ${id} ${text}`);
  }

  /** It is a help and no more: without it, with a damaged one and with one of long ago the store knows the same. */
  #harmCheckpoint(): void {
    const path = "/var/queue/checkpoint";
    if (!this.#disk.paths().includes(path)) return;
    const octets = Buffer.from(this.#disk.octetsOf(path));
    this.#checkpoints.push(octets);
    if (this.#random() < 0.6) return;
    this.faults += 1;
    const kind = this.#pickOf(["lost", "rotten", "short", "old"] as const);
    this.#trace(`the checkpoint is ${kind}`);
    const rotten = Buffer.from(octets);
    const at = this.#pick(octets.length);
    if (rotten.length > 0) rotten[at] = (rotten[at] as number) ^ (1 << this.#pick(8));
    const now = { lost: undefined, rotten, short: octets.subarray(0, at), old: this.#pickOf(this.#checkpoints) }[kind];
    this.#disk.replace(path, now);
  }

  #nextFault(call: DiskCall): string | undefined {
    if (this.#sound) return undefined;
    if (call === "write" && this.#random() < this.#shortRate) return this.#count(call, "short");
    if (call === "list" || call === "free") return undefined;
    if (this.#random() < this.#errorRate)
      return this.#count(call, call === "write" && this.#random() < 0.5 ? "ENOSPC" : "EIO");
    return undefined;
  }

  #count(call: DiskCall, fault: string): string {
    this.faults += 1;
    this.#trace(`  a ${call} fails: ${fault}`);
    return fault;
  }

  #pick(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #pickOf<T>(values: readonly T[]): T {
    return values[this.#pick(values.length)] as T;
  }
}
