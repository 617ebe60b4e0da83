/** %XX coding of tcp_table(5): everything but printing ASCII, and the percent sign itself; over the octets of UTF-8. */

const codes = Array.from({ length: 256 }, (_, octet) =>
  octet > 0x20 && octet < 0x7f && octet !== 0x25
    ? String.fromCharCode(octet)
    : `%${octet.toString(16).toUpperCase().padStart(2, "0")}`,
);
const plain = /^[!-$&-~]*$/;

export function encodePercent(text: string): string {
  if (plain.test(text)) return text;
  let encoded = "";
  for (const octet of Buffer.from(text)) encoded += codes[octet];
  return encoded;
}

/** The octets, or `undefined` where a percent sign is not followed by two hexadecimal digits. Other octets stand for themselves. */
export function decodePercent(bytes: Buffer): Buffer | undefined {
  if (!bytes.includes(0x25)) return bytes;
  const text = bytes.toString("latin1");
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return undefined;
  const decoded = text.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return Buffer.from(decoded, "latin1");
}
