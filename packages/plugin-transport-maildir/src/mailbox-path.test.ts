import { resolve } from "node:path";
import { expect, test } from "vitest";
import { mailboxPath } from "./mailbox-path.ts";

test.each([
  ["joe@example.test", "example.test", "joe"],
  ["JOE+Tag@EXAMPLE.test", "example.test", "joe+tag"],
  ['"../../etc"@example.test', "example.test", "%2E.%2F..%2Fetc"],
  ['".."@example.test', "example.test", "%2E."],
  ['"a/b\\\\c"@example.test', "example.test", "a%2Fb%5Cc"],
  ['"100%"@example.test', "example.test", "100%25"],
  ["j.r.@example.test", undefined, undefined],
  ['""@example.test', undefined, undefined],
  ['"a\u0000b"@example.test', undefined, undefined],
  ["joe@../example.test", undefined, undefined],
  ["joe@[192.0.2.1]", "%5B192.0.2.1%5D", "joe"],
  ["joe@[IPv6:2001:db8::1]", "%5Bipv6%3A2001%3Adb8%3A%3A1%5D", "joe"],
  ["jürgen@bücher.test", "xn--bcher-kva.test", "j%C3%BCrgen"],
  ["no-domain", undefined, undefined],
  ["", undefined, undefined],
])("%s", (address, domain, local) => {
  expect(mailboxPath(address)).toEqual(domain === undefined ? undefined : [domain, local]);
});

test.each([
  ["joe+tag@example.test", "+", "joe"],
  ["joe-tag+x@example.test", "+-", "joe"],
  ["+joe@example.test", "+", "+joe"],
  ["postmaster+x@example.test", "", "postmaster+x"],
])("%s with the delimiters '%s' goes to %s", (address, delimiters, local) => {
  expect(mailboxPath(address, delimiters)?.[1]).toBe(local);
});

test("addresses that differ have folders that differ", () => {
  const long = "/".repeat(100);
  const addresses = ['"a/b"@x.test', '"a%2Fb"@x.test', "a@x.test", '"a."@x.test', '".a"@x.test', '"%2Ea"@x.test'];
  const longOnes = [`"${long}a"@x.test`, `"${long}b"@x.test`];
  const hashed = mailboxPath(longOnes[0] ?? "")?.[1] ?? "";
  const all = [...addresses, ...longOnes, `"${hashed.slice(0, 200)}"@x.test`];
  expect(new Set(all.map((address) => mailboxPath(address)?.join("/"))).size).toBe(all.length);
});

test("whatever stands in quotes, the box is two folders down, with a name that file systems take", () => {
  const pieces = ["/", ".", "..", "\\\\", '\\"', " ", "%", "~", "a", "é", "😀", "-", "*", "$(id)", "x".repeat(90), "İ"];
  let seed = 7;
  for (let run = 0; run < 5_000; run++) {
    let local = "";
    for (let count = 0; count < 6; count++) {
      seed = (seed * 48_271) % 0x7fff_ffff;
      local += pieces[seed % pieces.length] ?? "";
    }
    const path = mailboxPath(`"${local}"@example.test`);
    if (path === undefined) continue; // too long for an address
    const [domain, name] = path;
    expect(domain).toBe("example.test");
    expect(name).toMatch(/^[a-z0-9_=+%-][A-Za-z0-9_=+.%-]{0,200}$/);
    expect(resolve("/mail", domain, name)).toBe(`/mail/${domain}/${name}`);
  }
});
