/**
 * PCRE2 in WebAssembly, by the module that @stephen-riley/pcre2-wasm carries. Its own loader is not used: it fetches a path
 * as if it were a URL and ends the process at any unhandled rejection. The numbers below are its linker's.
 *
 * The module works on 16-bit units, always in UTF mode, and in 16 MiB of memory that cannot grow; whoever compiles more opens
 * another one. Nothing in it waits, and nothing outlives it: patterns go when their module goes.
 */
import { readFile } from "node:fs/promises";
import { wasm, type WasmModule } from "./web-assembly.ts";

interface Exports {
  _malloc(bytes: number): number;
  _free(pointer: number): void;
  _compile(pattern: number, units: number, flags: number): number;
  _destroyCode(code: number): void;
  _lastErrorMessage(buffer: number, units: number): number;
  _lastErrorOffset(): number;
  _createMatchData(code: number): number;
  _getOvectorPointer(data: number): number;
  _getCaptureCount(code: number): number;
  _match(code: number, subject: number, units: number, offset: number, data: number): number;
}

const memoryPages = 256;
const tableSize = 4;
const memoryBase = 1024;
const heapTopPointer = 117_184;
const heapBase = 5_360_256;

const messageUnits = 256;
const noMatch = -1;

let compiled: Promise<WasmModule> | undefined;

/** The compiled module, read once in a process. */
export function loadPcre2(): Promise<WasmModule> {
  compiled ??= readModule();
  // A failure is not remembered.
  compiled.catch(() => (compiled = undefined));
  return compiled;
}

async function readModule(): Promise<WasmModule> {
  const file = import.meta.resolve("@stephen-riley/pcre2-wasm/dist/libpcre2.wasm");
  return wasm.compile(await readFile(new URL(file)));
}

/** A compiled pattern inside of its library. */
export interface Code {
  readonly code: number;
  readonly data: number;
  /** Where the starts and ends of the last match stand, in 32-bit units of the memory. */
  readonly offsets: number;
  readonly groups: number;
}

export interface SyntaxProblem {
  readonly message: string;
  /** In units of the pattern. */
  readonly offset: number;
}

/** The library's memory is full; another one has room. */
export class LibraryFull extends Error {}

/** PCRE2's error number of a match: over the match limit, out of memory. */
export class MatchFailed extends Error {
  constructor(number: number) {
    super(number === -47 ? "match limit exceeded" : number === -48 ? "no more memory" : `matching error ${number}`);
  }
}

export class Pcre2Library {
  readonly #exports: Exports;
  readonly #units: Uint16Array;
  readonly #words: Uint32Array;
  #subject = 0;
  #subjectUnits = 0;

  constructor(module: WasmModule) {
    const memory = new wasm.Memory({ initial: memoryPages, maximum: memoryPages });
    const octets = new Uint8Array(memory.buffer);
    const fail = () => {
      throw new wasm.RuntimeError("PCRE2 ran out of its stack");
    };
    const instance = new wasm.Instance(module, {
      env: {
        memory,
        table: new wasm.Table({ initial: tableSize, maximum: tableSize, element: "anyfunc" }),
        __memory_base: memoryBase,
        __table_base: 0,
        abortStackOverflow: fail,
        nullFunc_vii: fail,
        nullFunc_iii: fail,
        _emscripten_get_heap_size: () => octets.length,
        // malloc then answers 0.
        _emscripten_resize_heap: () => 0,
        _emscripten_memcpy_big: (to: number, from: number, length: number) => {
          octets.copyWithin(to, from, from + length);
          return to;
        },
      },
    });
    this.#exports = instance.exports as unknown as Exports;
    this.#units = new Uint16Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#words[heapTopPointer >> 2] = heapBase;
  }

  /** `flags` of `imsx`. Throws `LibraryFull`. */
  compile(pattern: string, flags: string): Code | SyntaxProblem {
    const exports = this.#exports;
    const source = this.#write(pattern);
    const options = this.#writeOctets(flags);
    const code = exports._compile(source, pattern.length, options);
    exports._free(source);
    exports._free(options);
    if (code === 0) return this.#problem();
    const data = exports._createMatchData(code);
    if (data === 0) {
      exports._destroyCode(code);
      throw new LibraryFull();
    }
    const offsets = exports._getOvectorPointer(data) >> 2;
    return { code, data, offsets, groups: exports._getCaptureCount(code) };
  }

  /** The text that `match` looks at until another is set. Throws `LibraryFull`. */
  setSubject(text: string): void {
    if (text.length > this.#subjectUnits || this.#subject === 0) {
      if (this.#subject !== 0) this.#exports._free(this.#subject);
      this.#subjectUnits = 0;
      const room = Math.max(1024, text.length);
      this.#subject = this.#allocate(room * 2);
      this.#subjectUnits = room;
    }
    const units = this.#units;
    const start = this.#subject >> 1;
    for (let at = 0; at < text.length; at++) units[start + at] = text.charCodeAt(at);
  }

  /** Whether the pattern matches the subject of so many units. Throws `MatchFailed`. */
  match({ code, data }: Code, units: number): boolean {
    const result = this.#exports._match(code, this.#subject, units, 0, data);
    if (result > 0) return true;
    if (result === noMatch) return false;
    throw new MatchFailed(result);
  }

  /** Start and end of a group of the last match; both -1 when it took no part. */
  group({ offsets }: Code, group: number): readonly [start: number, end: number] {
    const place = offsets + group * 2;
    return [(this.#words[place] ?? 0) | 0, (this.#words[place + 1] ?? 0) | 0];
  }

  #problem(): SyntaxProblem {
    const exports = this.#exports;
    const offset = exports._lastErrorOffset();
    const buffer = exports._malloc(messageUnits * 2);
    if (buffer === 0) throw new LibraryFull();
    const length = exports._lastErrorMessage(buffer, messageUnits);
    const message = String.fromCharCode(...this.#units.subarray(buffer >> 1, (buffer >> 1) + Math.max(0, length)));
    exports._free(buffer);
    if (/heap memory/.test(message)) throw new LibraryFull();
    return { message, offset };
  }

  #write(text: string): number {
    const pointer = this.#allocate((text.length + 1) * 2);
    for (let at = 0; at < text.length; at++) this.#units[(pointer >> 1) + at] = text.charCodeAt(at);
    this.#units[(pointer >> 1) + text.length] = 0;
    return pointer;
  }

  #writeOctets(text: string): number {
    const pointer = this.#allocate(text.length + 1);
    new Uint8Array(this.#units.buffer).set(Buffer.from(`${text}\0`, "latin1"), pointer);
    return pointer;
  }

  #allocate(bytes: number): number {
    const pointer = this.#exports._malloc(bytes);
    if (pointer === 0) throw new LibraryFull();
    return pointer;
  }
}
