/**
 * A disk in memory that does what disks may: until it is synced, a write may be lost, torn at any sector and overtaken by a later one, and so
 * may a name. Calls fail, write short and run out of room when the faults say so; a power cut stops everything at any call. All by
 * the numbers it is given, so that a seed replays exactly.
 */
import type { FileLock, FilePort, PortFile } from "./file-port.ts";

const sectorBytes = 512;

const eventLoopTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** What may go wrong, asked once a call. */
export interface DiskFaults {
  /** An error code (`EIO`, `ENOSPC`) for this call, `"short"` for a write of a part, or nothing. */
  next(call: DiskCall): string | undefined;
}
export type DiskCall =
  "open" | "write" | "read" | "sync" | "truncate" | "rename" | "unlink" | "syncFolder" | "list" | "free";

type Pending =
  | { readonly position: number; readonly octets: Buffer }
  /** A truncation. */
  | { readonly size: number };

/** A file's content as the system shows it, and what of it is certain to survive. */
class Inode {
  shown: Buffer = Buffer.alloc(0);
  durable: Buffer = Buffer.alloc(0);
  #pending: Pending[] = [];

  write(position: number, octets: Buffer): void {
    this.shown = patched(this.shown, position, octets);
    this.#pending.push({ position, octets: Buffer.from(octets) });
  }

  truncate(size: number): void {
    this.shown = resized(this.shown, size);
    this.#pending.push({ size });
  }

  sync(): void {
    this.#bring(() => true);
  }

  /** Lets a part of what is pending come to the disk, whatever part, and gives up the rest. */
  settle(random: () => number): void {
    const share = random();
    this.#bring(() => random() < share);
  }

  #bring(chosen: () => boolean): void {
    for (const change of this.#pending) {
      if ("size" in change) {
        if (chosen()) this.durable = resized(this.durable, change.size);
        continue;
      }
      const { position, octets } = change;
      for (let at = 0; at < octets.length;) {
        const end = Math.min(octets.length, at + sectorBytes - ((position + at) % sectorBytes));
        if (chosen()) this.durable = patched(this.durable, position + at, octets.subarray(at, end));
        at = end;
      }
    }
    this.#pending = [];
  }
}

export class SimulatedDisk implements FilePort {
  readonly #random: () => number;
  readonly #faults: DiskFaults;
  readonly #folders: Set<string>;
  /** Names as the system shows them, and as they would be found after a power cut; by folder. */
  readonly #shown: Map<string, Inode>;
  readonly #durable: Map<string, Inode>;
  readonly #locks = new Set<string>();
  #calls = 0;
  /** The call at which the power goes. */
  cutAt = Infinity;
  capacityBytes = Infinity;

  constructor(random: () => number, faults: DiskFaults, names: ReadonlyMap<string, Inode>, folders: Iterable<string>) {
    this.#random = random;
    this.#faults = faults;
    this.#shown = new Map(names);
    this.#durable = new Map(names);
    this.#folders = new Set(folders);
  }

  get calls(): number {
    return this.#calls;
  }

  get isCut(): boolean {
    return this.#calls > this.cutAt;
  }

  /** The disk as it is found after the power came back. */
  afterPowerCut(faults: DiskFaults): SimulatedDisk {
    const names = new Map<string, Buffer>();
    const paths = new Set([...this.#shown.keys(), ...this.#durable.keys()]);
    for (const path of paths) {
      const shown = this.#shown.get(path);
      const durable = this.#durable.get(path);
      const inode = shown === durable || this.#random() < 0.5 ? durable : shown;
      if (inode === undefined) continue;
      inode.settle(this.#random);
      names.set(path, inode.durable);
    }
    return SimulatedDisk.of(names, this.#folders, this.#random, faults);
  }

  /** A disk with these files on it, durable. */
  static of(
    files: ReadonlyMap<string, Buffer>,
    folders: Iterable<string>,
    random: () => number,
    faults: DiskFaults,
  ): SimulatedDisk {
    const names = new Map<string, Inode>();
    for (const [path, octets] of files) {
      const inode = new Inode();
      inode.shown = Buffer.from(octets);
      inode.durable = Buffer.from(octets);
      names.set(path, inode);
    }
    return new SimulatedDisk(random, faults, names, folders);
  }

  /** All files, as the system shows them. */
  image(): ReadonlyMap<string, Buffer> {
    return new Map([...this.#shown].map(([path, { shown }]) => [path, Buffer.from(shown)]));
  }

  /** Octets of a file, to be harmed by tests. */
  octetsOf(path: string): Buffer {
    return this.#inode(path).shown;
  }

  /** Rot, or somebody's hand: the file is another one, or gone, and durably so. */
  replace(path: string, octets: Buffer | undefined): void {
    this.#shown.delete(path);
    this.#durable.delete(path);
    if (octets === undefined) return;
    const inode = new Inode();
    inode.shown = Buffer.from(octets);
    inode.durable = Buffer.from(octets);
    this.#shown.set(path, inode);
    this.#durable.set(path, inode);
  }

  paths(): string[] {
    return [...this.#shown.keys()];
  }

  async open(path: string, mode: "read" | "write" | "create"): Promise<PortFile> {
    await this.#call("open");
    let inode = this.#shown.get(path);
    if (mode === "create") {
      if (inode !== undefined) throw systemError("EEXIST");
      if (!this.#folders.has(folderOf(path))) throw systemError("ENOENT");
      inode = new Inode();
      this.#shown.set(path, inode);
    }
    if (inode === undefined) throw systemError("ENOENT");
    return new SimulatedFile(
      inode,
      (call) => this.#call(call),
      () => this.#room(),
      this.#random,
    );
  }

  async list(folder: string): Promise<string[]> {
    await this.#call("list");
    if (!this.#folders.has(folder)) throw systemError("ENOENT");
    return this.paths().flatMap((path) => (folderOf(path) === folder ? [path.slice(folder.length + 1)] : []));
  }

  /** Folders are durable at once: they are made before there is mail. */
  async makeFolder(path: string): Promise<void> {
    await this.#call("open");
    if (this.#folders.has(path)) throw systemError("EEXIST");
    this.#folders.add(path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call("rename");
    const inode = this.#inode(from);
    this.#shown.delete(from);
    this.#shown.set(to, inode);
  }

  async unlink(path: string): Promise<void> {
    await this.#call("unlink");
    this.#inode(path);
    this.#shown.delete(path);
  }

  async syncFolder(folder: string): Promise<void> {
    await this.#call("syncFolder");
    for (const path of new Set([...this.#shown.keys(), ...this.#durable.keys()])) {
      if (folderOf(path) !== folder) continue;
      const inode = this.#shown.get(path);
      if (inode === undefined) this.#durable.delete(path);
      else this.#durable.set(path, inode);
    }
  }

  async free(): Promise<number> {
    await this.#call("free");
    return this.#room();
  }

  lock(path: string): FileLock | undefined {
    if (this.#locks.has(path)) return undefined;
    this.#locks.add(path);
    return { release: () => this.#locks.delete(path) };
  }

  #room(): number {
    let used = 0;
    for (const { shown } of this.#shown.values()) used += shown.length;
    return this.capacityBytes - used;
  }

  #inode(path: string): Inode {
    const inode = this.#shown.get(path);
    if (inode === undefined) throw systemError("ENOENT");
    return inode;
  }

  /** Every call takes a while, may fail, and never comes back once the power is gone. */
  async #call(call: DiskCall): Promise<"short" | undefined> {
    this.#calls += 1;
    // Sometimes so long that others get their turn.
    for (let turns = Math.floor(this.#random() * 4); turns > 0; turns -= 1) await Promise.resolve();
    for (let turns = Math.floor(this.#random() * 6) - 3; turns > 0; turns -= 1) await eventLoopTurn();
    if (this.#calls > this.cutAt) return new Promise(() => undefined);
    const fault = this.#faults.next(call);
    if (fault === undefined || fault === "short") return fault;
    throw systemError(fault);
  }
}

class SimulatedFile implements PortFile {
  readonly #inode: Inode;
  readonly #call: (call: DiskCall) => Promise<"short" | undefined>;
  readonly #room: () => number;
  readonly #random: () => number;
  #closed = false;

  constructor(
    inode: Inode,
    call: (call: DiskCall) => Promise<"short" | undefined>,
    room: () => number,
    random: () => number,
  ) {
    this.#inode = inode;
    this.#call = call;
    this.#room = room;
    this.#random = random;
  }

  async write(chunks: readonly Buffer[], position: number): Promise<number> {
    const octets = Buffer.concat(chunks);
    const fault = await this.#call("write");
    this.#check();
    let length = fault === "short" ? Math.floor(this.#random() * octets.length) : octets.length;
    const growth = position + length - this.#inode.shown.length;
    const room = this.#room();
    if (growth > room) {
      length -= growth - Math.max(0, room);
      if (length <= 0) throw systemError("ENOSPC");
    }
    if (length > 0) this.#inode.write(position, octets.subarray(0, length));
    return length;
  }

  async read(position: number, length: number): Promise<Buffer> {
    await this.#call("read");
    this.#check();
    return Buffer.from(this.#inode.shown.subarray(position, position + length));
  }

  async sync(): Promise<void> {
    try {
      await this.#call("sync");
    } catch (error) {
      // As Linux: some of it came to the disk, the rest is given up, and the next sync knows nothing of it.
      this.#inode.settle(this.#random);
      throw error;
    }
    this.#check();
    this.#inode.sync();
  }

  async truncate(size: number): Promise<void> {
    await this.#call("truncate");
    this.#inode.truncate(size);
  }

  async size(): Promise<number> {
    await this.#call("read");
    return this.#inode.shown.length;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #check(): void {
    if (this.#closed) throw systemError("EBADF");
  }
}

function patched(old: Buffer, position: number, octets: Buffer): Buffer {
  const next = Buffer.alloc(Math.max(old.length, position + octets.length));
  old.copy(next);
  octets.copy(next, position);
  return next;
}

function resized(old: Buffer, size: number): Buffer {
  const next = Buffer.alloc(size);
  old.copy(next);
  return next;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: simulated`), { code });
}
