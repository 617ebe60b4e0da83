/**
 * SHA-crypt, $5$ and $6$ ("Unix crypt using SHA-256 and SHA-512", Ulrich Drepper, version 0.6). Synchronous and slow by design: for
 * a worker thread alone.
 */
import { hash } from "node:crypto";
import { cryptAlphabet } from "./hash.ts";

const usualRounds = 5000;

/** Octets of the digest in the order in which they are written, three by three; -1 for none. */
function writingOrder(size: 32 | 64): readonly number[] {
  const third = size === 32 ? 10 : 21;
  const order: number[] = [];
  for (let row = 0; row < third; row += 1) {
    const turned = [row, row + third, row + 2 * third];
    // Each row begins one further: SHA-256's go round to the right, SHA-512's to the left.
    const shift = size === 32 ? (3 - (row % 3)) % 3 : row % 3;
    order.push(...turned.slice(shift), ...turned.slice(0, shift));
  }
  return order;
}

const orders = { 32: writingOrder(32), 64: writingOrder(64) } as const;

/** `$5$…` or `$6$…` for a password of any octets. `salt` is at most 16 characters. */
export function shaCrypt(kind: "5" | "6", password: Buffer, salt: string, rounds: number | undefined): string {
  const size = kind === "5" ? 32 : 64;
  const digest = (...parts: readonly Buffer[]): Buffer =>
    hash(kind === "5" ? "sha256" : "sha512", Buffer.concat(parts), "buffer");
  const salted = Buffer.from(salt);

  const alternate = digest(password, salted, password);
  const parts = [password, salted, repeat(alternate, password.length)];
  for (let bits = password.length; bits > 0; bits >>>= 1) parts.push((bits & 1) === 1 ? alternate : password);
  let result = digest(...parts);

  const passwords = repeat(digest(...Array.from({ length: password.length }, () => password)), password.length);
  const salts = repeat(digest(...Array.from({ length: 16 + (result[0] ?? 0) }, () => salted)), salted.length);
  for (let round = 0; round < (rounds ?? usualRounds); round += 1) {
    const odd = (round & 1) === 1;
    const step = [odd ? passwords : result];
    if (round % 3 !== 0) step.push(salts);
    if (round % 7 !== 0) step.push(passwords);
    step.push(odd ? result : passwords);
    result = digest(...step);
  }
  const written = rounds === undefined ? "" : `rounds=${rounds}$`;
  return `$${kind}$${written}${salt}$${encode(result, size)}`;
}

function repeat(octets: Buffer, length: number): Buffer {
  return Buffer.alloc(length, octets);
}

function encode(digest: Buffer, size: 32 | 64): string {
  const order = orders[size];
  let text = "";
  for (let at = 0; at < order.length; at += 3) {
    text += write(digest[order[at] ?? 0] ?? 0, digest[order[at + 1] ?? 0] ?? 0, digest[order[at + 2] ?? 0] ?? 0, 4);
  }
  return text + (size === 32 ? write(0, digest[31] ?? 0, digest[30] ?? 0, 3) : write(0, 0, digest[63] ?? 0, 2));
}

/** 24 bits, the lowest six first. */
function write(high: number, middle: number, low: number, characters: number): string {
  let bits = (high << 16) | (middle << 8) | low;
  let text = "";
  for (let left = characters; left > 0; left -= 1) {
    text += cryptAlphabet[bits & 63];
    bits >>>= 6;
  }
  return text;
}
