import { describe, expect, test } from "vitest";
import { decodeCommand, encodeCommand, type Command } from "./command.ts";
import { fromOctets, toOctets } from "./data-reader.ts";
import { ProtocolFault } from "./fault.ts";
import { mostDataOctets, steps, termsOf } from "./options.ts";
import { encodePacket, longestData, packetHead, PacketReader, type Packet } from "./packet.ts";
import { decodeResponse, encodeResponse, type Response } from "./response.ts";

/** As libmilter and Postfix put them on the wire. */
const commands: readonly [octets: string, command: Command][] = [
  [
    "\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff",
    { kind: "negotiate", version: 6, actions: 0x1ff, steps: 0x1fffff },
  ],
  ["\0\0\0\x0dO\0\0\0\x02\0\0\0\x3f\x80\0\0\x7f", { kind: "negotiate", version: 2, actions: 0x3f, steps: 0x8000007f }],
  ["\0\0\0\x02DC", { kind: "macros", of: "C", macros: {} }],
  ["\0\0\0\x14DCj\0mx.test\0{v}\x0042\0", { kind: "macros", of: "C", macros: { j: "mx.test", "{v}": "42" } }],
  [
    "\0\0\0\x19Cmx.test\x004\x26\x38192.0.2.7\x00",
    { kind: "connect", hostname: "mx.test", client: { family: "inet", address: "192.0.2.7", port: 0x2638 } },
  ],
  [
    "\0\0\0\x0fCx\x006\0\x19IPv6:::1\0",
    { kind: "connect", hostname: "x", client: { family: "inet6", address: "IPv6:::1", port: 25 } },
  ],
  ["\0\0\0\x09Cx\0L\0\0/s\0", { kind: "connect", hostname: "x", client: { family: "unix", address: "/s", port: 0 } }],
  ["\0\0\0\x04Cx\0U", { kind: "connect", hostname: "x", client: { family: "unknown" } }],
  ["\0\0\0\x06Hmx.t\0", { kind: "helo", name: "mx.t" }],
  ["\0\0\0\x0cM<a@b>\0S=1\0", { kind: "mail", args: ["<a@b>", "S=1"] }],
  ["\0\0\0\x08R<a@b>\0", { kind: "recipient", args: ["<a@b>"] }],
  ["\0\0\0\x01T", { kind: "data" }],
  ["\0\0\0\x09LX\0a\n\tb\0", { kind: "header", name: "X", value: "a\n\tb" }],
  ["\0\0\0\x04LX\0\0", { kind: "header", name: "X", value: "" }],
  ["\0\0\0\x01N", { kind: "endOfHeaders" }],
  ["\0\0\0\x05Ba\0\r\n", { kind: "body", octets: Buffer.from("a\0\r\n") }],
  ["\0\0\0\x01B", { kind: "body", octets: Buffer.alloc(0) }],
  ["\0\0\0\x01E", { kind: "endOfMessage" }],
  ["\0\0\0\x02Ex", { kind: "endOfMessage", octets: Buffer.from("x") }],
  ["\0\0\0\x01A", { kind: "abort" }],
  ["\0\0\0\x06UVRFX\0", { kind: "unknown", line: "VRFX" }],
  ["\0\0\0\x01Q", { kind: "quit" }],
  ["\0\0\0\x01K", { kind: "quitSession" }],
];

const responses: readonly [octets: string, response: Response][] = [
  ["\0\0\0\x0dO\0\0\0\x06\0\0\0\0\0\0\0\0", { kind: "negotiate", version: 6, actions: 0, steps: 0 }],
  [
    "\0\0\0\x1dO\0\0\0\x06\0\0\x01\0\0\0\0\0\0\0\0\0j _\0\0\0\0\x05i\0",
    { kind: "negotiate", version: 6, actions: 0x100, steps: 0, macros: { connect: ["j", "_"], endOfMessage: ["i"] } },
  ],
  ["\0\0\0\x01p", { kind: "progress" }],
  ["\0\0\0\x01c", { kind: "continue" }],
  ["\0\0\0\x01a", { kind: "accept" }],
  ["\0\0\0\x01r", { kind: "reject" }],
  ["\0\0\0\x01t", { kind: "tempfail" }],
  ["\0\0\0\x01d", { kind: "discard" }],
  ["\0\0\0\x01s", { kind: "skip" }],
  ["\0\0\0\x014", { kind: "shutdown" }],
  ["\0\0\0\x01f", { kind: "connectionFailure" }],
  ["\0\0\0\x0eyno\r\n550-no\0", { kind: "replyCode", text: "no\r\n550-no" }],
  ["\0\0\0\x05hX\0\xff\0", { kind: "addHeader", name: "X", value: "\xff" }],
  ["\0\0\0\x09i\0\0\x01\0X\0a\0", { kind: "insertHeader", index: 256, name: "X", value: "a" }],
  ["\0\0\0\x08m\xff\0\0\x01X\0\0", { kind: "changeHeader", index: 0xff000001, name: "X", value: "" }],
  ["\0\0\0\x03bx\0", { kind: "replaceBody", octets: Buffer.from("x\0") }],
  ["\0\0\0\x07+<a@b>\0", { kind: "addRecipient", address: "<a@b>" }],
  ["\0\0\0\x0c2<a@b>\0N=1\0", { kind: "addRecipient", address: "<a@b>", args: "N=1" }],
  ["\0\0\0\x07-<a@b>\0", { kind: "deleteRecipient", address: "<a@b>" }],
  ["\0\0\0\x04e<>\0", { kind: "changeSender", address: "<>" }],
  ["\0\0\0\x08e<>\0S=1\0", { kind: "changeSender", address: "<>", args: "S=1" }],
  ["\0\0\0\x05qbad\0", { kind: "quarantine", reason: "bad" }],
];

const octetsOf = (text: string): Buffer => {
  const octets = Buffer.from(text, "latin1");
  octets.writeUInt32BE(octets.length - 4);
  return octets;
};
const only = (octets: Buffer): Packet => {
  const packets = new PacketReader().push(octets);
  expect(packets).toHaveLength(1);
  return packets[0] as Packet;
};

describe("both sides put the same octets on the wire", () => {
  test.each(commands)("%j", (text, command) => {
    expect(encodeCommand(command).equals(octetsOf(text))).toBe(true);
    expect(decodeCommand(only(octetsOf(text)))).toEqual(command);
  });
  test.each(responses)("%j", (text, response) => {
    expect(encodeResponse(response).equals(octetsOf(text))).toBe(true);
    expect(decodeResponse(only(octetsOf(text)))).toEqual(response);
  });
});

describe("a packet cut anywhere is a fault or another sound packet, never a crash", () => {
  const shortened = (text: string): Packet[] => {
    const { letter, data } = only(octetsOf(text));
    return Array.from(data, (_, length) => ({ letter, data: data.subarray(0, length) }));
  };
  test("commands and responses", () => {
    let faults = 0;
    for (const [text] of [...commands, ...responses]) {
      for (const packet of shortened(text)) {
        for (const decode of [decodeCommand, decodeResponse]) {
          try {
            decode(packet);
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolFault);
            faults += 1;
          }
        }
      }
    }
    expect(faults).toBeGreaterThan(200);
  });

  test.each<[what: string, decode: (packet: Packet) => unknown, letter: string, data: string]>([
    ["more behind a command without data", decodeCommand, "A", "x"],
    ["more behind a text", decodeCommand, "H", "a\0b"],
    ["no address", decodeCommand, "M", ""],
    ["unknown family", decodeCommand, "C", "x\x009\0\0a\0"],
    ["a macro without a value", decodeCommand, "D", "Ci\0"],
    ["no letter of a command", decodeCommand, "x", ""],
    ["a command in place of a response", decodeResponse, "Q", ""],

    ["a third text", decodeResponse, "h", "X\0a\0b\0"],
    ["a stage without its macros", decodeResponse, "O", "\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\0\0"],
  ])("%s", (_, decode, letter, data) => {
    const packet = only(encodePacket(letter, Buffer.from(data, "latin1")));
    expect(() => decode(packet)).toThrow(ProtocolFault);
  });
});

describe("framing", () => {
  const all = Buffer.concat(commands.map(([text]) => octetsOf(text)));
  test("however the octets come", () => {
    const whole = new PacketReader().push(all).map(decodeCommand);
    expect(whole).toEqual(commands.map(([, command]) => command));
    for (let size = 1; size < 40; size += 1) {
      const reader = new PacketReader();
      const got: Command[] = [];
      for (let at = 0; at < all.length; at += size) {
        got.push(...reader.push(all.subarray(at, at + size)).map(decodeCommand));
      }
      expect(got).toEqual(whole);
      expect(reader.isBetween).toBe(true);
    }
  });

  test("the rest of a packet is waited for", () => {
    const reader = new PacketReader();
    expect(reader.push(octetsOf("\0\0\0\x06Hmx.t\0").subarray(0, 7))).toEqual([]);
    expect(reader.isBetween).toBe(false);
  });

  test.each([0, 12, 0xffffffff])("a length of %i is refused as soon as it is there", (length) => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    expect(() => new PacketReader(10).push(head)).toThrow(ProtocolFault);
  });

  test("nor can one be made", () => {
    expect(() => packetHead("B", longestData + 1)).toThrow(ProtocolFault);
    expect(() => encodePacket("B", Buffer.alloc(longestData + 1))).toThrow(ProtocolFault);
    expect(() => encodeCommand({ kind: "helo", name: "x".repeat(longestData) })).toThrow(ProtocolFault);
  });

  test("a large packet is not copied as long as it comes in one piece", () => {
    const octets = encodePacket("B", Buffer.alloc(100_000, "x"));
    const [packet] = new PacketReader().push(octets);
    expect(packet?.data.buffer).toBe(octets.buffer);
  });
});

test("a NUL cannot split a text", () => {
  const forged = encodeCommand({ kind: "header", name: "X", value: "a\0Y\0b" });
  expect(decodeCommand(only(forged))).toEqual({ kind: "header", name: "X", value: "a" });
});

test("octets and characters", () => {
  for (const text of ["plain", "Jürgen", "用户", ""]) expect(fromOctets(toOctets(text))).toBe(text);
  expect(toOctets("ü")).toBe("\xc3\xbc");
  expect(fromOctets("\xfc")).toBe("\xfc");
});

test("what a version knows, and what a packet may hold", () => {
  expect(termsOf(2)).toEqual({ version: 2, actions: 0x3f, steps: 0x7f });
  expect(termsOf(9)).toEqual({ version: 6, actions: 0x1ff, steps: 0x301fffff });
  expect([0, steps.packets256K, steps.packets1M].map((agreed) => mostDataOctets({ steps: agreed }))).toEqual([
    65_535, 262_143, 1_048_575,
  ]);
});
