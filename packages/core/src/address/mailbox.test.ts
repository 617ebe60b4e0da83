import { describe, expect, it } from "vitest";
import { randomFrom } from "../../../../test/sampling.ts";
import type { AddressFaultReason } from "./fault.ts";
import { canonicalAddress, formatMailbox, isSenderSpecifiedRouting, parseMailbox } from "./mailbox.ts";

const local64 = "l".repeat(64);
const label63 = "d".repeat(63);

describe("parseMailbox", () => {
  const taken: readonly [text: string, localPart: string, domain: string, canonical?: string][] = [
    ["joe@example.test", "joe", "example.test"],
    ["Joe.Doe+Tag@EXAMPLE.Test", "Joe.Doe+Tag", "example.test", "Joe.Doe+Tag@example.test"],
    ["!#$%&'*+-/=?^_`{|}~@example.test", "!#$%&'*+-/=?^_`{|}~", "example.test"],
    ["a@b", "a", "b"],
    ["user@under_score.example.test", "user", "under_score.example.test"],
    ['"joe"@example.test', "joe", "example.test", "joe@example.test"],
    ['"joe doe"@example.test', "joe doe", "example.test"],
    ['"joe@home"@example.test', "joe@home", "example.test"],
    ['"a\\"b\\\\c"@example.test', 'a"b\\c', "example.test"],
    ['"\\j\\o\\e"@example.test', "joe", "example.test", "joe@example.test"],
    ['".joe..doe."@example.test', ".joe..doe.", "example.test"],
    ['"<>[]:;, ()"@example.test', "<>[]:;, ()", "example.test"],
    ["joe@[192.0.2.1]", "joe", "[192.0.2.1]"],
    ["joe@[IPv6:2001:DB8:0:0::1]", "joe", "[IPv6:2001:db8::1]", "joe@[IPv6:2001:db8::1]"],
    ["joe@[ipv6:::1]", "joe", "[IPv6:::1]", "joe@[IPv6:::1]"],
    ["joe@xn--mnchen-3ya.example", "joe", "xn--mnchen-3ya.example"],
    [`${local64}@example.test`, local64, "example.test"],
  ];
  it.each(taken)("takes %s", (text, localPart, domain, canonical = text) => {
    expect(parseMailbox(text)).toEqual({ ok: true, localPart, domain });
    expect(canonicalAddress(text)).toBe(canonical);
  });

  const refused: readonly [text: string, reason: AddressFaultReason][] = [
    ["", "empty"],
    ["joe", "noDomain"],
    ['"joe"', "noDomain"],
    ["@example.test", "localPart"],
    ['""@example.test', "localPart"],
    [".joe@example.test", "localPart"],
    ["joe.@example.test", "localPart"],
    ["joe..doe@example.test", "localPart"],
    ["joe doe@example.test", "localPart"],
    [" joe@example.test", "localPart"],
    ["<joe@example.test>", "localPart"],
    ["joe(comment)@example.test", "localPart"],
    ['"joe@example.test', "localPart"],
    ['"joe\\', "localPart"],
    ['"joe"doe@example.test', "localPart"],
    ['joe."doe"@example.test', "localPart"],
    ["joe\\@home@example.test", "localPart"],
    ["joe@", "domain"],
    ["joe@example.test ", "domain"],
    ["joe@example.test.", "domain"],
    ["joe@.example.test", "domain"],
    ["joe@example..test", "domain"],
    ["joe@-example.test", "domain"],
    ["joe@example-.test", "domain"],
    ["joe@home@example.test", "domain"],
    ["joe@192.0.2.1", "domain"],
    [`joe@${label63}d.test`, "domain"],
    ["joe@[192.0.2.256]", "literal"],
    ["joe@[192.0.2.01]", "literal"],
    ["joe@[192.0.2.1", "literal"],
    ["joe@[::1]", "literal"],
    ["joe@[IPv6:192.0.2.1]", "literal"],
    ["joe@[IPv6:fe80::1%eth0]", "literal"],
    ["joe@[x400:cc=us]", "literal"],
    ["joe\0@example.test", "control"],
    ["joe@exam\nple.test", "control"],
    ['"joe\r\nRCPT TO:<x>"@example.test', "control"],
    ['"joe\u007f"@example.test', "control"],
    ["jörg@example.test", "nonAscii"],
    ["joe@bücher.example", "nonAscii"],
    [`${local64}l@example.test`, "tooLong"],
    [`"${"l".repeat(63)}"@example.test`, "tooLong"],
    [`joe@${`${label63}.`.repeat(3)}${"d".repeat(60)}`, "tooLong"],
    ["x".repeat(1_000_000), "tooLong"],
  ];
  it.each(refused)("refuses %j: %s", (text, reason) => {
    expect(parseMailbox(text)).toEqual({ ok: false, reason });
  });

  it("takes 254 octets and not one more", () => {
    const domain = `${label63}.${label63}.${label63}`;
    const fill = (octets: number) => `${"l".repeat(octets - domain.length - 1 - 4)}.abc@${domain}`;
    expect(parseMailbox(fill(254))).toMatchObject({ ok: true });
    expect(parseMailbox(fill(255))).toEqual({ ok: false, reason: "tooLong" });
  });

  describe("with SMTPUTF8", () => {
    const international: readonly [text: string, canonical: string | undefined][] = [
      ["jörg@bücher.example", "jörg@bücher.example"],
      ["用户@例子.测试", "用户@例子.测试"],
      ["joe@BÜCHER.example", "joe@bücher.example"],
      ["joe@bücher。example", "joe@bücher.example"],
      ["joe@xn--bcher-kva.example", "joe@xn--bcher-kva.example"],
      ['"jörg ü"@example.test', '"jörg ü"@example.test'],
      // A full-width "@" and "." become what they look like: neither may make a second domain.
      ["joe@a＠b.example", undefined],
      ["joe@a\u2100b.example", undefined], // maps to "a/c"
      ["joe@\u0378.example", undefined], // not assigned
      ["joe@１２７.０.０.１", undefined], // maps to 127.0.0.1, wholly numeric
      ["joe\ud800@example.test", undefined],
      ["joe\ufffd@example.test", undefined],
      ["joe\u0085@example.test", undefined],
      ["joe\u202e@example.test", undefined],
      ['"\\ü"@example.test', undefined],
      [`${"ü".repeat(32)}@example.test`, `${"ü".repeat(32)}@example.test`],
      [`${"ü".repeat(33)}@example.test`, undefined],
      [`joe@${"ü".repeat(60)}.example`, undefined],
    ];
    it.each(international)("%j is %j", (text, canonical) => {
      expect(canonicalAddress(text, { smtputf8: true })).toBe(canonical);
    });
  });

  it("takes a longer local part when told to", () => {
    const srs = `SRS0=HHHH=TT=${"o".repeat(60)}.example=joe@example.test`;
    expect(parseMailbox(srs)).toEqual({ ok: false, reason: "tooLong" });
    expect(parseMailbox(srs, { maxLocalPartOctets: 128 })).toMatchObject({ ok: true });
  });
});

describe("any input", () => {
  const random = randomFrom(1);
  const pick = (alphabet: readonly string[]) => alphabet[Math.floor(random() * alphabet.length)] ?? "";
  const text = (alphabet: readonly string[], longest: number) =>
    Array.from({ length: 1 + Math.floor(random() * longest) }, () => pick(alphabet)).join("");

  it("format then parse gives the mailbox back", () => {
    const characters = Array.from("abcXYZ019.@ \"\\%!+<>()[]:;,-_~`'ü例😀");
    const domains = ["example.test", "a.b.c", "[192.0.2.1]", "[IPv6:2001:db8::1]", "bücher.example", "x_y.test"];
    for (let round = 0; round < 3000; round++) {
      const mailbox = { localPart: text(characters, 12), domain: pick(domains) };
      const written = formatMailbox(mailbox);
      expect(parseMailbox(written, { smtputf8: true })).toEqual({ ok: true, ...mailbox });
      expect(canonicalAddress(written, { smtputf8: true })).toBe(written);
    }
  });

  it("is an answer, and a canonical address is its own canonical form", () => {
    const pieces = [
      "a",
      ".",
      "@",
      '"',
      "\\",
      "[",
      "]",
      "IPv6:",
      "1",
      ":",
      "-",
      "<",
      ">",
      " ",
      "\r",
      "\0",
      "ü",
      "\ud800",
      ",",
      "xn--",
    ];
    let parsed = 0;
    for (let round = 0; round < 20_000; round++) {
      const seed = pick(["joe@example.test", '"a b"@[192.0.2.1]', "ü@xn--bcher-kva.test", "a.b@[IPv6:::1]"]);
      const at = Math.floor(random() * seed.length);
      const written = seed.slice(0, at) + text(pieces, 3) + seed.slice(at + Math.floor(random() * 4));
      const canonical = canonicalAddress(written, { smtputf8: random() < 0.5 });
      if (canonical === undefined) continue;
      parsed++;
      expect(canonicalAddress(canonical, { smtputf8: true })).toBe(canonical);
      expect(canonical).not.toMatch(/[\r\n\0]/);
    }
    expect(parsed).toBeGreaterThan(500);
  });
});

describe("isSenderSpecifiedRouting", () => {
  it.each([
    ["user%other.example@ours.test", true],
    ["other.example!user@ours.test", true],
    ['"user@other.example"@ours.test', true],
    ['"user%other.example"@ours.test', true],
    ['"user\\@other.example"@ours.test', true],
    ["@ours.test:user@other.example", true],
    ["user%other.example", true],
    ["user@ours.test", false],
    ['"joe doe"@ours.test', false],
    ["user+tag@[IPv6:2001:db8::1]", false],
    ["", false],
  ])("%s: %s", (address, expected) => {
    expect(isSenderSpecifiedRouting(address)).toBe(expected);
  });
});
