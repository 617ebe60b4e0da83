/**
 * The PROXY protocol's header, v1 and v2 (haproxy's proxy-protocol.txt): who the client is, said by a proxy in front of us.
 * Pure: reads octets, decides nothing.
 */
import { formatIp, parseIp } from "../address/index.ts";

export interface ProxiedClient {
  readonly source: { readonly address: string; readonly port: number };
  readonly destination: { readonly address: string; readonly port: number };
}

/**
 * `incomplete`: read on. `invalid`: no such header. `header`: whole, `length` octets long; `client` is `undefined` when the
 * proxy speaks for itself (LOCAL, UNKNOWN, UNSPEC): then the connection's own addresses hold.
 */
export type ProxyHeader =
  | { readonly kind: "incomplete" }
  | { readonly kind: "invalid" }
  | { readonly kind: "header"; readonly length: number; readonly client: ProxiedClient | undefined };

const incomplete: ProxyHeader = Object.freeze({ kind: "incomplete" });
const invalid: ProxyHeader = Object.freeze({ kind: "invalid" });

const signatureV1 = Buffer.from("PROXY ");
const signatureV2 = Buffer.from("\r\n\r\n\0\r\nQUIT\n");
/** Of v1 with CRLF, by the specification. */
const longestV1 = 107;
/** Of v2's address and TLVs; ample for addresses, names and a TLS block. */
const longestV2 = 1024;
/** Version, command, family and length follow v2's signature. */
const fixedV2 = 16;

/** No header is longer: who has sent more without one has sent none. */
export const longestProxyHeader: number = fixedV2 + longestV2;

export function parseProxyHeader(octets: Buffer): ProxyHeader {
  if (startsLike(octets, signatureV2)) return octets.length < fixedV2 ? incomplete : parseV2(octets);
  if (startsLike(octets, signatureV1)) return parseV1(octets);
  return invalid;
}

/** As far as there are octets, they agree with the signature. */
function startsLike(octets: Buffer, signature: Buffer): boolean {
  const length = Math.min(octets.length, signature.length);
  return octets.subarray(0, length).equals(signature.subarray(0, length));
}

function parseV1(octets: Buffer): ProxyHeader {
  const end = octets.subarray(0, longestV1).indexOf("\r\n");
  if (end < 0) return octets.length >= longestV1 ? invalid : incomplete;
  const words = octets.toString("latin1", 0, end).split(" ");
  const [, family, source, destination, sourcePort, destinationPort] = words;
  const length = end + 2;
  if (family === "UNKNOWN") return { kind: "header", length, client: undefined };
  if ((family !== "TCP4" && family !== "TCP6") || words.length !== 6) return invalid;
  const from = endpoint(source, sourcePort, family);
  const to = endpoint(destination, destinationPort, family);
  if (from === undefined || to === undefined) return invalid;
  return { kind: "header", length, client: { source: from, destination: to } };
}

function endpoint(address = "", port = "", family: "TCP4" | "TCP6"): ProxiedClient["source"] | undefined {
  if (address.includes(":") !== (family === "TCP6") || address.includes("%")) return undefined;
  const ip = parseIp(address);
  if (ip === undefined || !/^(?:0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65535) return undefined;
  return { address: formatIp(ip), port: Number(port) };
}

function parseV2(octets: Buffer): ProxyHeader {
  const versionAndCommand = octets[12] ?? 0;
  const familyAndProtocol = octets[13] ?? 0;
  const rest = octets.readUInt16BE(14);
  if (versionAndCommand >> 4 !== 2 || rest > longestV2) return invalid;
  const length = fixedV2 + rest;
  if (octets.length < length) return incomplete;
  const command = versionAndCommand & 15;
  if (command === 0) return { kind: "header", length, client: undefined };
  if (command !== 1) return invalid;
  const family = familyAndProtocol >> 4;
  if (family === 0) return { kind: "header", length, client: undefined };
  const addressLength = family === 1 ? 4 : family === 2 ? 16 : 0;
  // A stream over IPv4 or IPv6; datagrams and Unix sockets carry no SMTP client.
  if (addressLength === 0 || (familyAndProtocol & 15) !== 1 || rest < addressLength * 2 + 4) return invalid;
  const addresses = octets.subarray(fixedV2, length);
  const ports = addressLength * 2;
  return {
    kind: "header",
    length,
    client: {
      source: { address: textOf(addresses.subarray(0, addressLength)), port: addresses.readUInt16BE(ports) },
      destination: {
        address: textOf(addresses.subarray(addressLength, ports)),
        port: addresses.readUInt16BE(ports + 2),
      },
    },
  };
}

/** Canonical text of an address in network order; IPv4-mapped IPv6 as IPv4. */
function textOf(octets: Buffer): string {
  if (octets.length === 4) return octets.join(".");
  const groups = Array.from({ length: 8 }, (_, index) => octets.readUInt16BE(index * 2).toString(16));
  const ip = parseIp(groups.join(":"));
  return ip === undefined ? groups.join(":") : formatIp(ip);
}
