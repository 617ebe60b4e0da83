// Hashes against those that others made, and texts that are none.
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { sample } from "../../../test/sampling.ts";
import { hashPassword, verifyPassword } from "./compute.ts";
import { dummyHash, parseHash, schemes, usualCosts } from "./hash.ts";
import { shaCrypt } from "./sha-crypt.ts";

// passlib's documentation; Openwall's vectors; glibc's crypt(3).
test.each([
  ["password", "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"],
  ["U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"],
  ["U*U*U", "{BLF-CRYPT}$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"],
  ["a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"],
  ["Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"],
  ["Hello world!", "{SHA256-CRYPT}$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"],
  [
    "Hello world!",
    "{crypt}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
  ],
  [
    "Hello world!",
    "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
  ],
  ["pässwörd", "$2b$05$abcdefghijklmnopqrstuuZVEMa1pjhlynBQ1qXmSvGBJpN9h1w8G"],
  ["pässwörd", "$2y$05$abcdefghijklmnopqrstuuZVEMa1pjhlynBQ1qXmSvGBJpN9h1w8G"],
])("%s: %s", (password, hash) => {
  expect(verifyPassword(password, hash)).toBe(true);
  expect(verifyPassword(`${password}x`, hash)).toBe(false);
  expect(verifyPassword(password.toUpperCase() === password ? "u*u" : password.toUpperCase(), hash)).toBe(false);
});

describe("SHA-crypt as openssl makes it", () => {
  const kinds = ["5", "6"] as const;
  // Around every length where a digest is repeated one time more.
  const lengths = [1, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 129];
  test.each(kinds.flatMap((kind) => lengths.slice(0, sample(12, 12)).map((length) => [kind, length] as const)))(
    "$%s$, %d octets",
    (kind, length) => {
      const password = "pässwörd ".repeat(20).slice(0, length);
      for (const salt of ["a", "0123456789abcdef"]) {
        const theirs = execFileSync("openssl", ["passwd", `-${kind}`, "-salt", salt, "-stdin"], { input: password });
        expect(shaCrypt(kind, Buffer.from(password), salt, undefined)).toBe(theirs.toString().trim());
      }
    },
  );
});

test.each(schemes)("%s: made here, taken here, never twice the same", (scheme) => {
  const cheap = { scrypt: "scrypt ln=4,r=8,p=1", bcrypt: "bcrypt 4", "sha512-crypt": "sha512-crypt 1000" };
  const cost = scheme === "sha256-crypt" ? "sha256-crypt 1000" : cheap[scheme];
  for (const password of ["secret", "pässwörd mit Blanks", "x".repeat(72), "🔑"]) {
    const hash = hashPassword(password, scheme, cost);
    expect(parseHash(hash)).toEqual({ scheme, cost, text: hash });
    expect(hashPassword(password, scheme, cost)).not.toBe(hash);
    expect(verifyPassword(password, hash)).toBe(true);
    expect(verifyPassword(password.slice(1), hash)).toBe(false);
  }
});

test("bcrypt makes no hash of what it would not read", () => {
  expect(() => hashPassword("x".repeat(73), "bcrypt", "bcrypt 4")).toThrow(/72 octets/);
});

test.each([...Object.values(usualCosts), "scrypt ln=4,r=8,p=2", "bcrypt 4", "sha256-crypt 1000", "sha512-crypt 5000"])(
  "a dummy of %s costs the same and is nobody's",
  (cost) => {
    const dummy = dummyHash(cost);
    expect(parseHash(dummy.text)).toEqual(dummy);
    expect(dummyHash(cost).text).not.toBe(dummy.text);
    if (/ln=4|bcrypt 4|1000$/.test(cost)) expect(verifyPassword("", dummy.text)).toBe(false);
  },
);

test.each([
  ["nothing", "", /no hash/],
  ["a password", "secret", /no hash/],
  ["{PLAIN}", "{PLAIN}secret", /\{PLAIN\} is not taken/],
  ["{SSHA512}", "{SSHA512}AAAA", /not taken/],
  ["a foreign prefix's name", "{constructor}$5$a$b", /not taken/],
  ["a prefix that lies", "{BLF-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8", /is sha256-crypt/],
  ["traditional crypt", "aa0OBDbGQe.7A", /no hash/],
  ["MD5", "$1$salt$qJH7.N4xYta3aEG/dfqo/0", /no hash/],
  ["yescrypt", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7", /no hash/],
  [
    "too much memory",
    "$scrypt$ln=24,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
    /beyond/,
  ],
  [
    "too much work",
    "$scrypt$ln=14,r=8,p=999$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
    /beyond/,
  ],
  [
    "half a minute in code that cannot be ended",
    "$scrypt$ln=18,r=8,p=32$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
    /beyond/,
  ],
  [
    "an N that its r does not allow",
    "$scrypt$ln=16,r=1,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
    /beyond/,
  ],
  ["bcrypt beyond the deadline", "$2a$16$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", /beyond/],
  ["bcrypt for an afternoon", "$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", /beyond/],
  ["rounds for a night", "$5$rounds=999999999$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8", /beyond/],
  ["rounds that are too few", "$5$rounds=10$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8", /beyond/],
  ["a hash that is cut", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe", /no hash/],
  ["a line more", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n", /no hash/],
])("%s is none, and the error has nothing of it", (_, text, message) => {
  expect(() => parseHash(text)).toThrow(message);
  const secret = text.split("$").at(-1) ?? "";
  if (secret.length > 5) {
    try {
      parseHash(text);
    } catch (error) {
      expect(String(error)).not.toContain(secret.trim());
    }
  }
});
