/** One DNS question and its answer as packets (RFC 1035 §4, RFC 6891 for EDNS). No I/O. */
import { decode, encode, RECURSION_DESIRED, type Answer, type DecodedPacket } from "dns-packet";

export type RecordType = "MX" | "A" | "AAAA" | "PTR" | "TXT";

/** What DNS said about a name: records with the chain of aliases resolved as far as the packet goes. */
export interface Records {
  readonly type: RecordType;
  /** `undefined` when the packet ends at an alias: then `alias` is to be asked. */
  readonly answers: readonly Answer[] | undefined;
  readonly alias?: string;
  readonly ttlMs: number;
}

export type Response =
  | { readonly kind: "records"; readonly records: Records }
  /** TC: to be asked again over TCP. */
  | { readonly kind: "truncated" }
  /** The server failed, refuses, or does not speak EDNS. */
  | { readonly kind: "failed"; readonly rcode: number }
  /** Not the answer to this question: somebody else's, or a forgery. */
  | { readonly kind: "foreign" };

export const formatError = 1;
const nameError = 3;
const truncatedBit = 0x0200;
/** RFC 6891 §6.2.5; small enough for every path without fragments. */
const udpPayloadSize = 1232;

const negativeTtlMs = 60_000;
const longestNegativeTtlMs = 300_000;
const longestTtlMs = 86_400_000;

export function encodeQuestion(id: number, name: string, type: RecordType, edns: boolean): Buffer {
  return encode({
    type: "query",
    id,
    flags: RECURSION_DESIRED,
    questions: [{ type, name, class: "IN" }],
    additionals: edns
      ? [
          {
            type: "OPT",
            name: ".",
            udpPayloadSize,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : [],
  });
}

/** Never throws: what cannot be decoded is foreign. */
export function decodeResponse(packet: Buffer, id: number, name: string, type: RecordType): Response {
  let decoded: DecodedPacket;
  try {
    decoded = decode(packet);
  } catch {
    // A truncated packet may end inside a record, where the decoder gives up: its header still counts.
    return isTruncatedHeader(packet, id) ? { kind: "truncated" } : { kind: "foreign" };
  }
  const question = decoded.questions?.[0];
  const flags = decoded.flags ?? 0;
  const rcode = flags & 0xf;
  if (!decoded.flag_qr || decoded.id !== id) return { kind: "foreign" };
  // Servers that know no EDNS may answer with a bare header.
  if (question === undefined) return rcode === 0 ? { kind: "foreign" } : { kind: "failed", rcode };
  if (question.type !== type || question.name.toLowerCase() !== name) return { kind: "foreign" };
  if ((flags & truncatedBit) !== 0) return { kind: "truncated" };
  if (rcode !== 0 && rcode !== nameError) return { kind: "failed", rcode };
  return { kind: "records", records: readRecords(decoded, name, type) };
}

function isTruncatedHeader(packet: Buffer, id: number): boolean {
  if (packet.length < 12 || packet.readUInt16BE(0) !== id) return false;
  const flags = packet.readUInt16BE(2);
  return (flags & 0x8000) !== 0 && (flags & truncatedBit) !== 0;
}

function readRecords(packet: DecodedPacket, name: string, type: RecordType): Records {
  const answers = packet.answers ?? [];
  const seen = new Set<string>();
  let owner = name;
  let ttlMs = longestTtlMs;
  while (!seen.has(owner)) {
    seen.add(owner);
    const own = answers.filter((answer) => answer.name.toLowerCase() === owner);
    for (const answer of own) ttlMs = Math.min(ttlMs, ttlOf(answer));
    const wanted = own.filter((answer) => answer.type === type);
    if (wanted.length > 0) return { type, answers: wanted, ttlMs };
    const alias = own.find((answer) => answer.type === "CNAME");
    if (alias?.type !== "CNAME") {
      // The end of the chain. With an SOA, or NXDOMAIN, the server says that nothing is there (RFC 2308 §2).
      const final = owner === name || ((packet.flags ?? 0) & 0xf) === nameError || soaOf(packet) !== undefined;
      if (final) return { type, answers: [], ttlMs: Math.min(ttlMs, negativeTtl(packet)) };
      break;
    }
    owner = alias.data.toLowerCase();
  }
  return { type, answers: undefined, alias: owner, ttlMs };
}

function ttlOf(answer: Answer): number {
  const seconds = "ttl" in answer ? (answer.ttl ?? 0) : 0;
  // RFC 2181 §8: a TTL with the top bit set is zero.
  return seconds > 0x7fff_ffff ? 0 : Math.min(seconds * 1000, longestTtlMs);
}

/** RFC 2308 §5. */
function negativeTtl(packet: DecodedPacket): number {
  const soa = soaOf(packet);
  if (soa === undefined) return negativeTtlMs;
  return Math.min(ttlOf(soa), (soa.data.minimum ?? 0) * 1000, longestNegativeTtlMs);
}

function soaOf(packet: DecodedPacket) {
  return packet.authorities?.find((answer) => answer.type === "SOA");
}
