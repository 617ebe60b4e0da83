/**
 * Framing: four octets of length, big endian, one octet of command, data. Lengths are bounded both ways, so that a peer can make nobody
 * hold more than one packet of the largest size.
 */
import { ProtocolFault } from "./fault.ts";

export interface Packet {
  /** One character: the command or the reply. */
  readonly letter: string;
  /** A part of what came, not a copy. */
  readonly data: Buffer;
}

/** Length and letter; they precede every packet's data. */
const headOctets = 5;
const lengthOctets = 4;
/** The largest of all packets that anybody may send: the data of `packets1M`, and room for what a header has beside its value. */
export const longestData = 1024 * 1024 + 1024;

/** Head of a packet whose `dataOctets` are written separately, such as a part of a body. */
export function packetHead(letter: string, dataOctets: number): Buffer {
  if (dataOctets > longestData) throw new ProtocolFault(`packet with ${dataOctets} octets of data`);
  const head = Buffer.allocUnsafe(headOctets);
  head.writeUInt32BE(dataOctets + 1, 0);
  head.write(letter, 4, 1, "latin1");
  return head;
}

export function encodePacket(letter: string, data?: Uint8Array): Buffer {
  const head = packetHead(letter, data?.length ?? 0);
  return data === undefined || data.length === 0 ? head : Buffer.concat([head, data]);
}

/** A packet of texts, each with its NUL, behind `before`. Texts are octets, a character each; what follows a NUL in one is lost. */
export function encodeTexts(letter: string, texts: readonly string[], before = ""): Buffer {
  let data = before;
  for (const text of texts) {
    const end = text.indexOf("\0");
    data += `${end < 0 ? text : text.slice(0, end)}\0`;
  }
  if (data.length > longestData) throw new ProtocolFault(`packet with ${data.length} octets of data`);
  const packet = Buffer.allocUnsafe(headOctets + data.length);
  packet.writeUInt32BE(data.length + 1, 0);
  packet.write(letter, 4, "latin1");
  packet.write(data, headOctets, "latin1");
  return packet;
}

/** Pieces that are kept apart while a packet is on its way: each costs much more than an octet. */
const mostPieces = 1024;

/** Cuts a stream into packets, however its octets come. */
export class PacketReader {
  readonly #mostOctets: number;
  #held: Buffer[] = [];
  #heldOctets = 0;
  /** Octets of the packet that is on its way, its length known; 0: it is not. */
  #wanted = 0;

  /** `mostOctets`: of data in one packet. */
  constructor(mostOctets = longestData) {
    this.#mostOctets = mostOctets;
  }

  /** Nothing of a further packet has come yet. */
  get isBetween(): boolean {
    return this.#heldOctets === 0;
  }

  /**
   * The packets that these octets complete, in order. Throws `ProtocolFault` for a length of none or too many octets; nothing may be pushed
   * after it.
   */
  push(chunk: Buffer): Packet[] {
    const packets: Packet[] = [];
    this.#held.push(chunk);
    this.#heldOctets += chunk.length;
    if (this.#held.length > mostPieces) this.#held = [Buffer.concat(this.#held, this.#heldOctets)];
    for (;;) {
      if (this.#wanted === 0) {
        if (this.#heldOctets < lengthOctets) break;
        const head = this.#leading(lengthOctets);
        const length = head.readUInt32BE(0);
        if (length < 1 || length - 1 > this.#mostOctets) throw new ProtocolFault(`packet with a length of ${length}`);
        this.#wanted = length + 4;
      }
      if (this.#heldOctets < this.#wanted) break;
      const whole = this.#take(this.#wanted);
      this.#wanted = 0;
      packets.push({ letter: String.fromCharCode(whole[4] ?? 0), data: whole.subarray(headOctets) });
    }
    return packets;
  }

  /** The first octets in one piece. */
  #leading(octets: number): Buffer {
    const [first] = this.#held;
    if (first !== undefined && first.length >= octets) return first;
    const joined = Buffer.concat(this.#held, this.#heldOctets);
    this.#held = [joined];
    return joined;
  }

  #take(octets: number): Buffer {
    const joined = this.#leading(octets);
    this.#heldOctets -= octets;
    const rest = joined.subarray(octets);
    if (rest.length > 0) this.#held[0] = rest;
    else this.#held.shift();
    return joined.subarray(0, octets);
  }
}
