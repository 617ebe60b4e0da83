import { describe, expect, it } from "vitest";
import { isFqdn, isValidHostname } from "./domain.ts";
import { splitExtension } from "./extension.ts";
import { domainToAscii, domainToUnicode } from "./idn.ts";

const label = "l".repeat(63);

describe("host names", () => {
  it.each([
    ["mx.example.test", true, true],
    ["localhost", true, false],
    ["a_b.example.test", true, true],
    ["1.2.3.4", false, false],
    ["1.2.3.example", true, true],
    ["3com.example", true, true],
    ["mx.example.test.", false, true],
    ["localhost.", false, false],
    ["mx.example.test..", false, false],
    [".", false, false],
    ["", false, false],
    [".example.test", false, false],
    ["a..b", false, false],
    ["-a.b", false, false],
    ["a-.b", false, false],
    ["a.b-", false, false],
    ["a--b.c", true, true],
    ["a b.c", false, false],
    ["a@b.c", false, false],
    ["[192.0.2.1]", false, false],
    [`${label}.test`, true, true],
    [`${label}l.test`, false, false],
    [`${`${label}.`.repeat(3)}${label}`, true, true],
    [`${`${label}.`.repeat(4)}t`, false, false],
    ["bücher.example", true, true],
    ["bü cher.example", false, false],
  ])("%j: valid %s, fully qualified %s", (name, valid, qualified) => {
    expect(isValidHostname(name)).toBe(valid);
    expect(isFqdn(name)).toBe(qualified);
  });
});

describe("IDN", () => {
  it.each([
    ["Bücher.Example", "xn--bcher-kva.example", "bücher.example"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example", "bücher.example"],
    ["EXAMPLE.test", "example.test", "example.test"],
    // node:url makes 1.0.0.2 and 127.0.0.1 of these.
    ["1.2", "1.2", "1.2"],
    ["0x7f.1", "0x7f.1", "0x7f.1"],
    ["faß.example", "xn--fa-hia.example", "faß.example"],
    ["xn--a.example", null, null],
    ["xn--bcher-kvb.xn--.example", null, null],
    ["", null, null],
    ["ü".repeat(300), null, null],
  ])("%s", (domain, ascii, unicode) => {
    for (let again = 0; again < 2; again++) {
      expect(domainToAscii(domain)).toBe(ascii);
      expect(domainToUnicode(domain)).toBe(unicode);
    }
  });
});

describe("splitExtension", () => {
  it.each([
    ["joe+tag", "+", "joe", "tag", "+"],
    ["joe-tag+more", "+-", "joe", "tag+more", "-"],
    ["joe+tag-more", "-+", "joe", "tag-more", "+"],
    ["joe+", "+", "joe", "", "+"],
    ["joe", "+", "joe", undefined, ""],
    ["+tag", "+", "+tag", undefined, ""],
    ["joe+tag", "", "joe+tag", undefined, ""],
    ["Mailer-Daemon", "-", "Mailer-Daemon", undefined, ""],
    ["double-bounce", "-", "double-bounce", undefined, ""],
    ["postmaster", "mt", "postmaster", undefined, ""],
    ["postmaster+tag", "+", "postmaster", "tag", "+"],
    ["owner-list", "-", "owner-list", undefined, ""],
    ["list-Request", "-+", "list-Request", undefined, ""],
    ["owner+list", "+", "owner", "list", "+"],
    ["-request", "-", "-request", undefined, ""],
  ])("%s by %j", (given, delimiters, localPart, extension, delimiter) => {
    expect(splitExtension(given, delimiters)).toEqual({ localPart, extension, delimiter });
  });
});
