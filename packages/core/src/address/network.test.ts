import { BlockList, isIP } from "node:net";
import { describe, expect, it } from "vitest";
import { randomFrom } from "../../../../test/sampling.ts";
import { formatIp, parseAddressLiteral, parseIp } from "./ip.ts";
import { createNetworkList, networkOf, parseCidr } from "./network.ts";

describe("parseIp", () => {
  it.each([
    ["192.0.2.1", "192.0.2.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["0.0.0.0", "0.0.0.0"],
    ["::", "::"],
    ["::1", "::1"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:201", "192.0.2.1"],
    ["fe80::1%eth0", "fe80::1"],
  ])("%s is %s", (text, canonical) => {
    const ip = parseIp(text);
    expect(ip && formatIp(ip)).toBe(canonical);
  });

  it.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.",
    "01.2.3.4",
    "1.2.3.256",
    "1..2.3",
    "0x7f.1",
    "127.1",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:1.2.3.4",
    "12345::",
    "::g",
    "1:",
    ":1",
    "::1.2.3",
    "1.2.3.4 ",
    "::".repeat(1000),
  ])("%j is none", (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  it("agrees with node:net and WHATWG about random texts", () => {
    const random = randomFrom(2);
    const pieces = ["0", "1", "ffff", "db8", ":", "::", ".", "255", "256", "1.2.3.4", "00", "a", "f"];
    let addresses = 0;
    for (let round = 0; round < 30_000; round++) {
      const length = 1 + Math.floor(random() * 16);
      const text = Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)]).join("");
      const ip = parseIp(text);
      expect([text, ip !== undefined]).toEqual([text, isIP(text) !== 0]);
      if (ip?.family === 6) {
        addresses++;
        expect(`[${formatIp(ip)}]`).toBe(new URL(`http://[${text}]/`).hostname);
      }
    }
    expect(addresses).toBeGreaterThan(100);
  });
});

it.each([
  ["[192.0.2.1]", "192.0.2.1"],
  ["[IPv6:2001:db8::1]", "2001:db8::1"],
  ["[ipv6:::1]", "::1"],
  ["192.0.2.1", undefined],
  ["[2001:db8::1]", undefined],
  ["[IPv6:192.0.2.1]", undefined],
  ["[]", undefined],
  ["[", undefined],
])("literal %s is %s", (text, canonical) => {
  const ip = parseAddressLiteral(text);
  expect(ip && formatIp(ip)).toBe(canonical);
});

describe("networks", () => {
  it.each([
    ["10.0.0.0/33", "prefix"],
    ["10.0.0.0/", "prefix"],
    ["10.0.0.0/08", "prefix"],
    ["10.0.0.0/-1", "prefix"],
    ["10.0.0.0/8/8", "prefix"],
    ["::/129", "prefix"],
    ["10.0.0.1/8", "hostBits"],
    ["2001:db8::1/64", "hostBits"],
    ["0.0.0.1/0", "hostBits"],
    ["10.0.0/8", "address"],
    ["mail.example.test", "address"],
    ["", "address"],
  ])("refuses %s: %s", (text, reason) => {
    expect(parseCidr(text)).toEqual({ ok: false, reason });
    expect(() => createNetworkList([text])).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });

  it("says what was probably meant", () => {
    expect(() => createNetworkList(["192.0.2.77/24"])).toThrow(/"192\.0\.2\.77\/24" .*did you mean 192\.0\.2\.0\/24\?/);
  });

  it.each([
    [["127.0.0.0/8"], "127.255.0.1", true],
    [["127.0.0.0/8"], "128.0.0.1", false],
    [["127.0.0.0/8"], "::ffff:127.0.0.1", true],
    [["::ffff:127.0.0.0/104"], "127.0.0.1", true],
    [["[::1]/128"], "::1", true],
    [["192.0.2.1"], "192.0.2.1", true],
    [["192.0.2.1"], "192.0.2.2", false],
    [["0.0.0.0/0"], "203.0.113.9", true],
    [["0.0.0.0/0"], "2001:db8::1", false],
    [["::/0"], "203.0.113.9", false],
    [["::/0"], "2001:db8::1", true],
    [["127.0.0.0/8"], "unknown", false],
    [["127.0.0.0/8"], undefined, false],
    [[], "127.0.0.1", false],
  ])("%j contains %s: %s", (entries, address, expected) => {
    expect(createNetworkList(entries).contains(address)).toBe(expected);
  });

  it("agrees with node's BlockList about random networks", () => {
    const random = randomFrom(3);
    const octet = () => Math.floor(random() * 4) * 85;
    const group = () => (Math.floor(random() * 3) * 0x7fff).toString(16);
    const address = (family: string) =>
      family === "ipv4" ? [octet(), octet(), octet(), octet()].join(".") : Array.from({ length: 8 }, group).join(":");
    for (let round = 0; round < 100; round++) {
      // One a family: node takes IPv4 for a part of ::/0, we do not.
      const oracles = { ipv4: new BlockList(), ipv6: new BlockList() };
      const entries: string[] = [];
      for (let count = 0; count < 8; count++) {
        const family = random() < 0.5 ? ("ipv4" as const) : ("ipv6" as const);
        const prefixLength = Math.floor(random() * (family === "ipv4" ? 33 : 129));
        const network = networkOf(address(family), { v4: prefixLength, v6: prefixLength }) ?? "";
        entries.push(network);
        oracles[family].addSubnet(network.split("/")[0] ?? "", prefixLength, family);
      }
      const list = createNetworkList(entries);
      for (let count = 0; count < 40; count++) {
        const family = random() < 0.5 ? ("ipv4" as const) : ("ipv6" as const);
        const candidate = address(family);
        expect([entries, candidate, list.contains(candidate)]).toEqual([
          entries,
          candidate,
          oracles[family].check(candidate, family),
        ]);
      }
    }
  });

  it.each([
    ["192.0.2.77", "192.0.2.0/24"],
    ["::ffff:192.0.2.77", "192.0.2.0/24"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["unknown", undefined],
  ])("%s is in %s", (address, network) => {
    expect(networkOf(address, { v4: 24, v6: 64 })).toBe(network);
  });
});
