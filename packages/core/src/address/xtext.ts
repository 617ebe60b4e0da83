/** xtext (RFC 3461 §4): printable ASCII but "+" and "=", and `+HH` for everything else. */

const form = /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/;

export function isXtext(text: string): boolean {
  return form.test(text);
}

/** The text, as UTF-8 where valid; `undefined` when it is no xtext. Hexadecimal digits in lower case are tolerated. */
export function decodeXtext(text: string): string | undefined {
  if (!/^(?:[!-*,-~]|\+[0-9A-Fa-f]{2})*$/.test(text)) return undefined;
  if (!text.includes("+")) return text;
  const octets = text.replace(/\+([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(octets, "latin1").toString("utf8");
}

/** UTF-8 octets outside printable ASCII, "+" and "=" become `+HH`. */
export function encodeXtext(text: string): string {
  const octets = Buffer.from(text).toString("latin1");
  return octets.replace(
    /[^!-*,-<>-~]/g,
    (octet) => `+${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
