/** One DNS question and its answer as packets (RFC 1035 §4, RFC 6891 for EDNS). No I/O. */
import { decode, encode, RECURSION_DESIRED, type Answer, type DecodedPacket } from "dns-packet";

export type RecordType = "MX" | "A" | "AAAA" | "NS" | "PTR" | "TXT";

/** What DNS said about a name: records with the chain of aliases resolved as far as the packet goes. */
export interface Records {
  readonly type: RecordType;
  /** `undefined` when the packet ends at an alias: then `alias` is to be asked. */
  readonly answers: readonly Answer[] | undefined;
  readonly alias?: string;
  readonly ttlMs: number;
  /** Nothing is there, by NXDOMAIN or by an empty answer; `ttlMs` is then by RFC 2308. */
  readonly negative?: boolean;
}

export type Response =
  | { readonly kind: "records"; readonly records: Records }
  /** TC: to be asked again over TCP. */
  | { readonly kind: "truncated" }
  /** The server failed, refuses, or does not speak EDNS. */
  | { readonly kind: "failed"; readonly rcode: number }
  /** The server is not the one to ask: it names others, or will not ask them for us. Says nothing about the name. */
  | { readonly kind: "referral" }
  /** Not the answer to this question: somebody else's, or a forgery. */
  | { readonly kind: "foreign" };

export const formatError = 1;
const nameError = 3;
const authoritativeBit = 0x0400;
const truncatedBit = 0x0200;
const recursionBit = 0x0080;
/** RFC 6891 §6.2.5; small enough for every path without fragments. */
const udpPayloadSize = 1232;

/**
 * Without an SOA nobody says how long nothing is there, and RFC 2308 §5 would not have it kept: only so long that the
 * words of one session ask once, since forwarders exist that drop every SOA.
 */
const negativeTtlMs = 5_000;
/** RFC 2181 §8. */
const longestTtlMs = 0x7fff_ffff * 1000;

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

/** Aliases followed in one answer: whoever sends thousands would have us compare each with each. */
const longestChain = 10;

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
  if (isReferral(decoded, rcode)) return { kind: "referral" };
  return { kind: "records", records: readRecords(decoded, name, type) };
}

function isTruncatedHeader(packet: Buffer, id: number): boolean {
  if (packet.length < 12 || packet.readUInt16BE(0) !== id) return false;
  const flags = packet.readUInt16BE(2);
  return (flags & 0x8000) !== 0 && (flags & truncatedBit) !== 0;
}

/** An empty answer of a server that neither knows nor recurses, RFC 2308 §2.2; taken for "no records" it would refuse mail. */
function isReferral(packet: DecodedPacket, rcode: number): boolean {
  const flags = packet.flags ?? 0;
  if (rcode !== 0 || (packet.answers ?? []).length > 0 || (flags & authoritativeBit) !== 0) return false;
  if (soaOf(packet) !== undefined) return false;
  return (flags & recursionBit) === 0 || (packet.authorities ?? []).some(({ type }) => type === "NS");
}

function readRecords(packet: DecodedPacket, name: string, type: RecordType): Records {
  const answers = packet.answers ?? [];
  const seen = new Set<string>();
  let owner = name;
  let ttlMs = longestTtlMs;
  while (!seen.has(owner) && seen.size < longestChain) {
    seen.add(owner);
    const own = answers.filter((answer) => answer.name.toLowerCase() === owner);
    for (const answer of own) ttlMs = Math.min(ttlMs, ttlOf(answer));
    const wanted = own.filter((answer) => answer.type === type);
    if (wanted.length > 0) return { type, answers: wanted, ttlMs };
    const alias = own.find((answer) => answer.type === "CNAME");
    if (alias?.type !== "CNAME") {
      // The end of the chain. With an SOA, or NXDOMAIN, the server says that nothing is there (RFC 2308 §2).
      const final = owner === name || ((packet.flags ?? 0) & 0xf) === nameError || soaOf(packet) !== undefined;
      if (final) return { type, answers: [], ttlMs: Math.min(ttlMs, negativeTtl(packet)), negative: true };
      break;
    }
    owner = alias.data.toLowerCase();
  }
  return { type, answers: undefined, alias: owner, ttlMs };
}

function ttlOf(answer: Answer): number {
  const seconds = "ttl" in answer ? (answer.ttl ?? 0) : 0;
  // RFC 2181 §8: a TTL with the top bit set is zero.
  return seconds > 0x7fff_ffff ? 0 : seconds * 1000;
}

/** RFC 2308 §5. */
function negativeTtl(packet: DecodedPacket): number {
  const soa = soaOf(packet);
  if (soa === undefined) return negativeTtlMs;
  return Math.min(ttlOf(soa), (soa.data.minimum ?? 0) * 1000);
}

function soaOf(packet: DecodedPacket) {
  return packet.authorities?.find((answer) => answer.type === "SOA");
}
