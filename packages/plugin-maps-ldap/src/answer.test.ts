// Answers octet by octet: right ones in pieces of any size, wrong ones never as something else.
import { describe, expect, test } from "vitest";
import { randomFrom, sample, seed } from "../../../test/sampling.ts";
import { endOfMessage, ProtocolError, readAnswer } from "./answer.ts";
import { Framing } from "./framing.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

const done = hex("300c 020105 6507 0a0100 0400 0400");
const entry = hex("3023 020105 641e 0402 6378 3018 3016 0404 6d61696c 310e 0405 6140622e63 0405 6440652e66");
const reference = hex("3010 020105 730b 0409 6c6461703a2f2f782f");

test("an entry, a reference, an end", () => {
  expect(readAnswer(entry)).toEqual({
    kind: "entry",
    id: 5,
    dn: "cx",
    attributes: [{ name: "mail", values: [Buffer.from("a@b.c"), Buffer.from("d@e.f")] }],
  });
  expect(readAnswer(reference)).toEqual({ kind: "reference", id: 5 });
  expect(readAnswer(done)).toEqual({ kind: "result", id: 5, operation: 0x65, status: 0, message: "" });
});

describe("wrong answers", () => {
  const wrong: Readonly<Record<string, Buffer>> = {
    "a text longer than the message": hex("300c 020105 6507 0a0100 0400 04ff"),
    "a text one octet longer": hex("300c 020105 6507 0a0100 0400 0401"),
    "an operation longer than the message": hex("300c 020105 65ff 0a0100 0400 0400"),
    "a value longer than its attribute": hex("3016 020105 6411 0400 300d 300b 0404 6d61696c 3103 0405 61"),
    "a value without a length": hex("3014 020105 640f 0400 300b 3009 0404 6d61696c 3101 04"),
    "no status": hex("3009 020105 6504 0400 0400"),
    "a status of five octets": hex("3010 020105 650b 0a050000000000 0400 0400"),
    "an empty id": hex("300b 0200 6507 0a0100 0400 0400"),
    "nothing inside": hex("3000"),
    "an indefinite length inside": hex("300c 020105 6580 0a0100 0400 0400"),
  };
  for (const [name, octets] of Object.entries(wrong)) {
    test(name, () => expect(() => readAnswer(octets)).toThrow(ProtocolError));
  }

  test(`octets changed at random are an error or an answer, and nothing else (seed ${seed})`, () => {
    const random = randomFrom(seed);
    for (let round = 0; round < sample(5_000, 500_000); round += 1) {
      const octets = Buffer.from([entry, done, reference][round % 3] ?? entry);
      for (let change = 0; change <= round % 3; change += 1) {
        octets[Math.floor(random() * octets.length)] = Math.floor(random() * 256);
      }
      try {
        readAnswer(octets);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }
  });
});

describe("framing", () => {
  const stream = Buffer.concat([entry, reference, done, entry, done]);

  for (const size of [1, 2, 3, 7, 40, 1000]) {
    test(`pieces of ${size} octets`, () => {
      const framing = new Framing(1000);
      const messages: Buffer[] = [];
      for (let at = 0; at < stream.length; at += size) messages.push(...framing.take(stream.subarray(at, at + size)));
      expect(messages).toEqual([entry, reference, done, entry, done]);
      expect(framing.holds).toBe(false);
    });
  }

  test("a message that is longer than it may be is refused by its length alone", () => {
    expect(() => endOfMessage(hex("308203e9"), 0, 1000)).toThrow(ProtocolError);
    expect(endOfMessage(hex("308203e8"), 0, 1000)).toBe(1004);
    expect(() => endOfMessage(hex("3084ffffffff"), 0, 1000)).toThrow(ProtocolError);
    expect(() => endOfMessage(hex("3080"), 0, 1000)).toThrow(ProtocolError);
    expect(() => endOfMessage(Buffer.from("220 mail"), 0, 1000)).toThrow(ProtocolError);
    expect(endOfMessage(hex("3082"), 0, 1000)).toBeUndefined();
  });

  test("many messages in one piece", () => {
    const count = 20_000;
    const piece = Buffer.concat(Array.from({ length: count }, () => done));
    expect([...new Framing(1000).take(piece)]).toHaveLength(count);
  });
});
