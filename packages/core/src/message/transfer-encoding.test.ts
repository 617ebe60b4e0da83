// Transfer encodings undone, wherever the pieces were cut.
import { describe, expect, it } from "vitest";
import { randomFrom } from "../../../../test/sampling.ts";
import { decoderFor } from "./transfer-encoding.ts";

function decode(encoding: string, pieces: readonly string[]): string {
  const decoder = decoderFor(encoding);
  if (decoder === undefined) throw new Error(encoding);
  const decoded = pieces.map((piece) => decoder.push(Buffer.from(piece, "latin1")));
  return Buffer.concat([...decoded, decoder.end()]).toString("latin1");
}

const cases: readonly [encoding: string, what: string, encoded: string, text: string][] = [
  ["base64", "in lines", "SGVs\r\nbG8=\r\n", "Hello"],
  ["base64", "without padding", "SGVsbG8", "Hello"],
  ["base64", "one digit too many", "SGVsbG8=Q", "Hello"],
  ["base64", "texts one behind the other", "SGVsbG8=LCA=d29ybGQh", "Hello, world!"],
  ["base64", "what is no base64 between", "S*G-Vs\tb G\x008=", "Hello"],
  ["base64", "nothing but padding", "====", ""],
  ["base64", "nothing", "", ""],
  ["base64", "too much padding", "SGVsbG8===\r\nLCA=", "Hello, "],
  ["quoted-printable", "escapes", "=48e=6C=6co=3d=3D", "Hello=="],
  ["quoted-printable", "soft line breaks", "Hel=\r\nlo=  \t\r\n!", "Hello!"],
  ["quoted-printable", "blanks at the ends of lines", "a \t\r\nb \r\n c ", "a\r\nb\r\n c "],
  ["quoted-printable", "what is no escape", "=4x = =\r\n==3D=", "=4x = =="],
  ["quoted-printable", "bare line feeds", "a=\nb\nc", "ab\nc"],
  ["quoted-printable", "8-bit", "\xa0\xe4\xa0\r\n", "\xa0\xe4\xa0\r\n"],
  ["quoted-printable", "nothing", "", ""],
];
it.each(cases)("%s: %s", (encoding, _, encoded, text) => {
  for (let at = 0; at <= encoded.length; at++) {
    expect(decode(encoding, [encoded.slice(0, at), encoded.slice(at)])).toBe(text);
  }
  expect(decode(encoding, encoded.split(""))).toBe(text);
});

describe("lines that never end", () => {
  it("are decoded in bounded memory, and no escape is torn", () => {
    const random = randomFrom(7);
    const decoder = decoderFor("quoted-printable");
    let held = 0;
    let decoded = 0;
    for (let pushed = 0; pushed < 3_000_000;) {
      const piece = "=41".repeat(1 + Math.floor(random() * 9_000)).slice(pushed % 3);
      // Each piece goes on where the last one ended.
      const whole = piece.slice(0, piece.length - ((pushed + piece.length) % 3 === 0 ? 0 : 1));
      const out = decoder?.push(Buffer.from(whole)) ?? Buffer.alloc(0);
      pushed += whole.length;
      decoded += out.length;
      expect(out.every((octet) => octet === 0x41)).toBe(true);
      held = Math.max(held, pushed / 3 - decoded);
    }
    expect(held).toBeLessThan(64 * 1024);
  });

  it.each([
    ["base64", "A"],
    ["base64", "="],
    ["base64", "A="],
    ["base64", "-"],
    ["quoted-printable", " "],
    ["quoted-printable", "="],
    ["quoted-printable", "=4"],
    ["quoted-printable", "= "],
    ["quoted-printable", "\n"],
    ["quoted-printable", "\r"],
  ])("cost no more than their length: %s of %j", (encoding, piece) => {
    const started = process.cpuUsage();
    const octets = piece.repeat(65_536 / piece.length);
    expect(
      decode(
        encoding,
        Array.from({ length: 40 }, () => octets),
      ).length,
    ).toBeLessThanOrEqual(65_536 * 40);
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(30);
  });
});
