/**
 * Hashes of passwords as tables hold them: scrypt (the PHC string of passlib), bcrypt ($2a$, $2b$, $2y$), SHA-crypt ($5$, $6$), each
 * also behind the prefix with which Dovecot names its scheme. This file reads and writes the texts; what costs time is in `compute.ts`.
 */
import { randomBytes } from "node:crypto";

export const schemes = Object.freeze(["scrypt", "bcrypt", "sha512-crypt", "sha256-crypt"] as const);
export type Scheme = (typeof schemes)[number];

/** A hash taken apart as far as its cost must be known. */
export interface PasswordHash {
  readonly scheme: Scheme;
  /** Without Dovecot's prefix. */
  readonly text: string;
  /** Scheme and parameters without salt and digest: hashes of one cost take the same time. */
  readonly cost: string;
}

/** Why a text is no hash that we take; never has any of it. */
export class HashFormatError extends Error {}

/**
 * Largest parameters that are computed, each about two seconds: a table must not be able to stop the gateway, and what takes longer
 * than its deadline would let nobody in. The code of scrypt cannot be ended before it is done.
 */
const mostScryptBytes = 256 * 1024 * 1024;
const mostScryptWork = 2 ** 23;
const mostBcryptCost = 15;
const mostShaRounds = 1_000_000;

const phcBase64 = "[A-Za-z0-9+/]";
const scryptForm = new RegExp(
  `^\\$scrypt\\$ln=(\\d{1,2}),r=(\\d{1,3}),p=(\\d{1,3})\\$(${phcBase64}{11,86})\\$(${phcBase64}{22,86})$`,
);
const bcryptForm = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const shaForm = /^\$([56])\$(?:rounds=([1-9]\d{0,8})\$)?([^$:\n]{0,16})\$([./0-9A-Za-z]{43}|[./0-9A-Za-z]{86})$/;
const prefixForm = /^\{([A-Za-z0-9.-]{1,32})\}(.*)$/s;
/** What Dovecot may call each. */
const prefixes: Readonly<Record<string, readonly Scheme[]>> = {
  CRYPT: ["bcrypt", "sha512-crypt", "sha256-crypt"],
  "BLF-CRYPT": ["bcrypt"],
  "SHA512-CRYPT": ["sha512-crypt"],
  "SHA256-CRYPT": ["sha256-crypt"],
};

/** Throws `HashFormatError`. */
export function parseHash(given: string): PasswordHash {
  const prefixed = prefixForm.exec(given);
  if (prefixed === null) return parseBare(given);
  const [, prefix = "", rest = ""] = prefixed;
  const allowed = Object.hasOwn(prefixes, prefix.toUpperCase()) ? prefixes[prefix.toUpperCase()] : undefined;
  if (allowed === undefined) {
    throw new HashFormatError(
      `the scheme {${prefix}} is not taken; there are ${Object.keys(prefixes)
        .map((name) => `{${name}}`)
        .join(", ")}, and hashes of scrypt, bcrypt and SHA-crypt without a prefix`,
    );
  }
  const hash = parseBare(rest);
  if (!allowed.includes(hash.scheme)) throw new HashFormatError(`what follows {${prefix}} is ${hash.scheme}`);
  return hash;
}

function parseBare(text: string): PasswordHash {
  const scrypt = scryptForm.exec(text);
  if (scrypt !== null) {
    const [ln, r, p] = scrypt.slice(1, 4).map(Number) as [number, number, number];
    if (
      ln < 1 ||
      r < 1 ||
      p < 1 ||
      // RFC 7914 §2.
      ln >= 16 * r ||
      ln > 24 ||
      128 * r * 2 ** ln > mostScryptBytes ||
      r * p * 2 ** ln > mostScryptWork
    ) {
      throw new HashFormatError("the parameters of its scrypt are beyond what is computed");
    }
    return { scheme: "scrypt", text, cost: `scrypt ln=${ln},r=${r},p=${p}` };
  }
  const bcrypt = bcryptForm.exec(text);
  if (bcrypt !== null) {
    const cost = Number(bcrypt[1]);
    if (cost < 4 || cost > mostBcryptCost)
      throw new HashFormatError("the cost of its bcrypt is beyond what is computed");
    return { scheme: "bcrypt", text, cost: `bcrypt ${cost}` };
  }
  const sha = shaForm.exec(text);
  if (sha !== null && (sha[4] ?? "").length === (sha[1] === "5" ? 43 : 86)) {
    const rounds = sha[2] === undefined ? undefined : Number(sha[2]);
    if (rounds !== undefined && (rounds < 1000 || rounds > mostShaRounds)) {
      throw new HashFormatError("the rounds of its SHA-crypt are beyond what is computed");
    }
    const scheme = sha[1] === "5" ? "sha256-crypt" : "sha512-crypt";
    return { scheme, text, cost: `${scheme} ${rounds ?? 5000}` };
  }
  throw new HashFormatError("it is no hash of scrypt, bcrypt or SHA-crypt; `postern passwd` makes one");
}

/** A hash of that cost that no password has: to spend on an unknown name what a known one costs. */
export function dummyHash(cost: string): PasswordHash {
  const [scheme = "", parameters = ""] = cost.split(" ");
  const crypt = (length: number): string => [...randomBytes(length)].map((octet) => cryptAlphabet[octet % 64]).join("");
  switch (scheme) {
    case "bcrypt":
      return { scheme, cost, text: `$2b$${parameters.padStart(2, "0")}$${crypt(21)}.${crypt(30)}.` };
    case "sha256-crypt":
      return { scheme, cost, text: `$5$rounds=${parameters}$${crypt(16)}$${crypt(42)}.` };
    case "sha512-crypt":
      return { scheme, cost, text: `$6$rounds=${parameters}$${crypt(16)}$${crypt(85)}.` };
    default:
      return {
        scheme: "scrypt",
        cost,
        text: `$scrypt$${parameters}$${phc(randomBytes(16))}$${phc(randomBytes(32))}`,
      };
  }
}

export const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Base64 without padding, as PHC strings have it. */
export function phc(octets: Buffer): string {
  return octets.toString("base64").replace(/=+$/, "");
}

/** What a new hash costs: about a tenth to a quarter of a second. */
export const usualCosts: Readonly<Record<Scheme, string>> = Object.freeze({
  scrypt: "scrypt ln=16,r=8,p=1",
  bcrypt: "bcrypt 11",
  "sha512-crypt": "sha512-crypt 100000",
  "sha256-crypt": "sha256-crypt 100000",
});
