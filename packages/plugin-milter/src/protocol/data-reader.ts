/** Reads a packet's data to its last octet: what is too short, too long or not closed by its NUL is a fault, never a guess. */
import { ProtocolFault } from "./fault.ts";
import type { Packet } from "./packet.ts";

export class DataReader {
  readonly #packet: Packet;
  #at = 0;

  constructor(packet: Packet) {
    this.#packet = packet;
  }

  get atEnd(): boolean {
    return this.#at >= this.#packet.data.length;
  }

  /** One octet as a character. */
  character(): string {
    const { data } = this.#packet;
    this.#need(1);
    return data.toString("latin1", this.#at, (this.#at += 1));
  }

  uint16(): number {
    this.#need(2);
    this.#at += 2;
    return this.#packet.data.readUInt16BE(this.#at - 2);
  }

  uint32(): number {
    this.#need(4);
    this.#at += 4;
    return this.#packet.data.readUInt32BE(this.#at - 4);
  }

  /** Up to the NUL, as octets: a character each. */
  text(): string {
    const { data } = this.#packet;
    const end = data.indexOf(0, this.#at);
    if (end < 0) throw this.#fault("a text without its end");
    const text = data.toString("latin1", this.#at, end);
    this.#at = end + 1;
    return text;
  }

  /** All texts to the end. */
  texts(): string[] {
    const texts: string[] = [];
    while (!this.atEnd) texts.push(this.text());
    return texts;
  }

  /** What is left, not a copy. */
  rest(): Buffer {
    const rest = this.#packet.data.subarray(this.#at);
    this.#at = this.#packet.data.length;
    return rest;
  }

  /** Nothing may be left. */
  end(): void {
    if (!this.atEnd) throw this.#fault("more than belongs to it");
  }

  #need(octets: number): void {
    if (this.#packet.data.length - this.#at < octets) throw this.#fault("too little data");
  }

  #fault(what: string): ProtocolFault {
    return new ProtocolFault(`packet ${JSON.stringify(this.#packet.letter)} with ${what}`);
  }
}

/**
 * Text as octets, a character each, and back: the protocol knows octets alone. UTF-8 where it is valid, else latin1; ASCII, which most is,
 * stays what it is.
 */
export function toOctets(text: string): string {
  return isAscii(text) ? text : Buffer.from(text).toString("latin1");
}

export function fromOctets(octets: string): string {
  if (isAscii(octets)) return octets;
  const buffer = Buffer.from(octets, "latin1");
  const text = buffer.toString();
  return text.includes("\ufffd") ? octets : text;
}

const beyondAscii = /[^\u0000-\u007f]/;
function isAscii(text: string): boolean {
  return !beyondAscii.test(text);
}
