/**
 * What a filter says to a mail server (SMFIR_*). Called responses here, so that nobody takes them for replies of SMTP. All texts are octets,
 * a character each: see `toOctets`.
 */
import { encodeTerms, readTerms } from "./command.ts";
import { DataReader } from "./data-reader.ts";
import { ProtocolFault } from "./fault.ts";
import { macroStages, type MacroStage, type Terms } from "./options.ts";
import { encodePacket, encodeTexts, type Packet } from "./packet.ts";

/** The macros that a filter wants at a stage, by its names on the wire; a stage left out gets the mail server's choice. */
export type WantedMacros = Readonly<Partial<Record<MacroStage, readonly string[]>>>;

/** Ends a command. */
export type Ruling =
  | { readonly kind: "continue" }
  /** Of connect and helo the whole session, else the message (or, for `discard` and `accept` at a recipient, too). */
  | { readonly kind: "accept" }
  | { readonly kind: "reject" }
  | { readonly kind: "tempfail" }
  | { readonly kind: "discard" }
  /** `550 5.7.1 text`; several lines parted by CRLF, each with the code. */
  | { readonly kind: "replyCode"; readonly text: string }
  /** No more of this kind. */
  | { readonly kind: "skip" }
  /** 421, and the connection ends. */
  | { readonly kind: "shutdown" }
  /** The connection shall fail. */
  | { readonly kind: "connectionFailure" };

/** Change at the end of a message, before the ruling. */
export type Modification =
  | { readonly kind: "addHeader"; readonly name: string; readonly value: string }
  /** `index` 0 is the top. */
  | { readonly kind: "insertHeader"; readonly index: number; readonly name: string; readonly value: string }
  /** The `index`th of that name from the top, 1 first; an empty value deletes it. */
  | { readonly kind: "changeHeader"; readonly index: number; readonly name: string; readonly value: string }
  /** The first one replaces the body, further ones add to it. */
  | { readonly kind: "replaceBody"; readonly octets: Uint8Array }
  | { readonly kind: "addRecipient"; readonly address: string; readonly args?: string }
  | { readonly kind: "deleteRecipient"; readonly address: string }
  | { readonly kind: "changeSender"; readonly address: string; readonly args?: string }
  | { readonly kind: "quarantine"; readonly reason: string };

export type Response =
  | ({ readonly kind: "negotiate"; readonly macros?: WantedMacros } & Terms)
  /** Still at work. */
  | { readonly kind: "progress" }
  | Ruling
  | Modification;

const letters = Object.freeze({
  negotiate: "O",
  progress: "p",
  continue: "c",
  accept: "a",
  reject: "r",
  tempfail: "t",
  discard: "d",
  replyCode: "y",
  skip: "s",
  shutdown: "4",
  connectionFailure: "f",
  addHeader: "h",
  insertHeader: "i",
  changeHeader: "m",
  replaceBody: "b",
  addRecipient: "+",
  deleteRecipient: "-",
  changeSender: "e",
  quarantine: "q",
}) satisfies Readonly<Record<Response["kind"], string>>;
const addRecipientWithArguments = "2";

/** That anybody may want at a stage; Sendmail has 50 of them. */
const mostMacros = 200;

export function encodeResponse(response: Response): Buffer {
  const letter = letters[response.kind];
  switch (response.kind) {
    case "negotiate":
      return encodePacket(letter, Buffer.concat([encodeTerms(response), ...encodeWanted(response.macros)]));
    case "replyCode":
      return encodeTexts(letter, [response.text]);
    case "addHeader":
      return encodeTexts(letter, [response.name, response.value]);
    case "insertHeader":
    case "changeHeader":
      return encodeTexts(letter, [response.name, response.value], uint32(response.index));
    case "replaceBody":
      return encodePacket(letter, response.octets);
    case "addRecipient":
      if (response.args === undefined) return encodeTexts(letter, [response.address]);
      return encodeTexts(addRecipientWithArguments, [response.address, response.args]);
    case "deleteRecipient":
      return encodeTexts(letter, [response.address]);
    case "changeSender":
      return encodeTexts(letter, response.args === undefined ? [response.address] : [response.address, response.args]);
    case "quarantine":
      return encodeTexts(letter, [response.reason]);
    default:
      return encodePacket(letter);
  }
}

/** Throws `ProtocolFault` for a letter that is no response and for data that do not belong to it. */
export function decodeResponse(packet: Packet): Response {
  const reader = new DataReader(packet);
  const response = read(packet, reader);
  reader.end();
  return response;
}

const bare: ReadonlyMap<string, Response> = new Map(
  (
    [
      "progress",
      "continue",
      "accept",
      "reject",
      "tempfail",
      "discard",
      "skip",
      "shutdown",
      "connectionFailure",
    ] as const
  ).map((kind) => [letters[kind], Object.freeze({ kind })]),
);

function read(packet: Packet, reader: DataReader): Response {
  const alone = bare.get(packet.letter);
  if (alone !== undefined) return alone;
  switch (packet.letter) {
    case "O":
      return readNegotiation(reader);
    case "y":
      return { kind: "replyCode", text: reader.text() };
    case "h":
      return { kind: "addHeader", name: reader.text(), value: reader.text() };
    case "i":
      return { kind: "insertHeader", index: reader.uint32(), name: reader.text(), value: reader.text() };
    case "m":
      return { kind: "changeHeader", index: reader.uint32(), name: reader.text(), value: reader.text() };
    case "b":
      return { kind: "replaceBody", octets: reader.rest() };
    case "+":
      return { kind: "addRecipient", address: reader.text() };
    case addRecipientWithArguments:
      return { kind: "addRecipient", address: reader.text(), ...readFurther(reader) };
    case "-":
      return { kind: "deleteRecipient", address: reader.text() };
    case "e":
      return { kind: "changeSender", address: reader.text(), ...readFurther(reader) };
    case "q":
      return { kind: "quarantine", reason: reader.text() };
    default:
      throw new ProtocolFault(`unknown response ${JSON.stringify(packet.letter)}`);
  }
}

function readFurther(reader: DataReader): { args?: string } {
  return reader.atEnd ? {} : { args: reader.text() };
}

function readNegotiation(reader: DataReader): Response {
  const terms = readTerms(reader);
  if (reader.atEnd) return { kind: "negotiate", ...terms };
  const macros: Partial<Record<MacroStage, readonly string[]>> = {};
  while (!reader.atEnd) {
    const stage = macroStages[reader.uint32()];
    const names = reader
      .text()
      .split(/[\s,]+/)
      .filter((name) => name !== "");
    // Each is looked for at every command.
    if (names.length > mostMacros) throw new ProtocolFault(`a wish for ${names.length} macros`);
    if (stage !== undefined) macros[stage] = names;
  }
  return { kind: "negotiate", ...terms, macros };
}

function encodeWanted(macros: WantedMacros = {}): Buffer[] {
  return macroStages.flatMap((stage, number) => {
    const names = macros[stage];
    return names === undefined ? [] : [Buffer.from(`${uint32(number)}${names.join(" ")}\0`, "latin1")];
  });
}

function uint32(value: number): string {
  return String.fromCharCode((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}
