/** Makes and checks hashes. Synchronous and slow by design: for a worker thread, and for a command that does nothing else. */
import { randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { compareSync, hashSync } from "bcryptjs";
import { cryptAlphabet, parseHash, phc, usualCosts, type Scheme } from "./hash.ts";
import { shaCrypt } from "./sha-crypt.ts";

const longestBcrypt = 72;

/** A hash of the scheme's usual cost, or of `cost` as `PasswordHash` has it, with a salt of its own. Throws RangeError for bcrypt and more than 72 octets. */
export function hashPassword(password: string, scheme: Scheme = "scrypt", cost: string = usualCosts[scheme]): string {
  const parameters = cost.slice(cost.indexOf(" ") + 1);
  switch (scheme) {
    case "bcrypt":
      if (Buffer.byteLength(password) > longestBcrypt) {
        throw new RangeError(`bcrypt reads ${longestBcrypt} octets of a password and no more; take another scheme`);
      }
      return hashSync(password, Number(parameters));
    case "sha256-crypt":
    case "sha512-crypt":
      return shaCrypt(scheme === "sha256-crypt" ? "5" : "6", Buffer.from(password), newSalt(), Number(parameters));
    case "scrypt": {
      const salt = randomBytes(16);
      return `$scrypt$${parameters}$${phc(salt)}$${phc(scrypt(password, parameters, salt, 32))}`;
    }
  }
}

/** Is it this password's hash? Throws `HashFormatError` for what is no hash. */
export function verifyPassword(password: string, given: string): boolean {
  const { scheme, text } = parseHash(given);
  const fields = text.split("$");
  switch (scheme) {
    case "bcrypt":
      // Of a longer password only the beginning counts, as everywhere.
      return compareSync(password, text);
    case "sha256-crypt":
    case "sha512-crypt": {
      const rounds = fields[2]?.startsWith("rounds=") === true ? Number(fields[2].slice("rounds=".length)) : undefined;
      const salt = fields.at(-2) ?? "";
      return isSame(shaCrypt(fields[1] === "5" ? "5" : "6", Buffer.from(password), salt, rounds), text);
    }
    case "scrypt": {
      const [, , parameters = "", salt = "", digest = ""] = fields;
      const wanted = Buffer.from(digest, "base64");
      const found = scrypt(password, parameters, Buffer.from(salt, "base64"), wanted.length);
      return timingSafeEqual(found, wanted);
    }
  }
}

function scrypt(password: string, parameters: string, salt: Buffer, length: number): Buffer {
  const [ln = 0, r = 0, p = 0] = parameters.split(",").map((one) => Number(one.slice(one.indexOf("=") + 1)));
  const cost = 2 ** ln;
  return scryptSync(password, salt, length, { N: cost, r, p, maxmem: 128 * r * (cost + p + 2) + 1024 });
}

function isSame(found: string, wanted: string): boolean {
  const one = Buffer.from(found);
  const other = Buffer.from(wanted);
  return one.length === other.length && timingSafeEqual(one, other);
}

function newSalt(): string {
  return [...randomBytes(16)].map((octet) => cryptAlphabet[octet % 64]).join("");
}
