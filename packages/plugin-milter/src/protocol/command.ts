/** What a mail server says to a filter (SMFIC_*). All texts are octets, a character each: see `toOctets`. */
import { DataReader } from "./data-reader.ts";
import { ProtocolFault } from "./fault.ts";
import type { Terms } from "./options.ts";
import { encodePacket, encodeTexts, type Packet } from "./packet.ts";

/** `name` with braces when it has more than one character, as it goes over the wire: `i`, `{client_addr}`. */
export type Macros = Readonly<Record<string, string>>;

export type ClientAddress =
  | { readonly family: "inet" | "inet6"; readonly address: string; readonly port: number }
  | { readonly family: "unix"; readonly address: string; readonly port: number }
  | { readonly family: "unknown" };

export type Command =
  | ({ readonly kind: "negotiate" } & Terms)
  /** Macros for the command `of`, which follows; `of` is its letter. */
  | { readonly kind: "macros"; readonly of: string; readonly macros: Macros }
  | { readonly kind: "connect"; readonly hostname: string; readonly client: ClientAddress }
  | { readonly kind: "helo"; readonly name: string }
  /** Path in angle brackets, then ESMTP parameters as they came. */
  | { readonly kind: "mail"; readonly args: readonly string[] }
  | { readonly kind: "recipient"; readonly args: readonly string[] }
  | { readonly kind: "data" }
  /** The value's lines are parted by LF alone. */
  | { readonly kind: "header"; readonly name: string; readonly value: string }
  | { readonly kind: "endOfHeaders" }
  | { readonly kind: "body"; readonly octets: Uint8Array }
  /** May bring a last part of the body. */
  | { readonly kind: "endOfMessage"; readonly octets?: Uint8Array }
  | { readonly kind: "abort" }
  /** A line that the mail server does not know. */
  | { readonly kind: "unknown"; readonly line: string }
  | { readonly kind: "quit" }
  /** The session is over, another one follows on this connection. */
  | { readonly kind: "quitSession" };

export type CommandKind = Command["kind"];

export const commandLetters = Object.freeze({
  negotiate: "O",
  macros: "D",
  connect: "C",
  helo: "H",
  mail: "M",
  recipient: "R",
  data: "T",
  header: "L",
  endOfHeaders: "N",
  body: "B",
  endOfMessage: "E",
  abort: "A",
  unknown: "U",
  quit: "Q",
  quitSession: "K",
}) satisfies Readonly<Record<CommandKind, string>>;

const families = Object.freeze({ inet: "4", inet6: "6", unix: "L", unknown: "U" });

export function encodeCommand(command: Command): Buffer {
  const letter = commandLetters[command.kind];
  switch (command.kind) {
    case "negotiate":
      return encodePacket(letter, encodeTerms(command));
    case "macros":
      return encodeTexts(letter, Object.entries(command.macros).flat(), command.of);
    case "connect":
      return encodeConnect(command.hostname, command.client);
    case "helo":
      return encodeTexts(letter, [command.name]);
    case "mail":
    case "recipient":
      return encodeTexts(letter, command.args);
    case "header":
      return encodeTexts(letter, [command.name, command.value]);
    case "body":
    case "endOfMessage":
      return encodePacket(letter, command.octets);
    case "unknown":
      return encodeTexts(letter, [command.line]);
    default:
      return encodePacket(letter);
  }
}

/** Throws `ProtocolFault` for a letter that is no command and for data that do not belong to it. */
export function decodeCommand(packet: Packet): Command {
  const reader = new DataReader(packet);
  const command = read(packet, reader);
  reader.end();
  return command;
}

function read(packet: Packet, reader: DataReader): Command {
  switch (packet.letter) {
    case "O":
      return { kind: "negotiate", ...readTerms(reader) };
    case "D":
      return { kind: "macros", of: reader.character(), macros: readMacros(reader) };
    case "C":
      return { kind: "connect", hostname: reader.text(), client: readClient(reader) };
    case "H":
      return { kind: "helo", name: reader.text() };
    case "M":
      return { kind: "mail", args: readArguments(packet, reader) };
    case "R":
      return { kind: "recipient", args: readArguments(packet, reader) };
    case "T":
      return { kind: "data" };
    case "L":
      return { kind: "header", name: reader.text(), value: reader.text() };
    case "N":
      return { kind: "endOfHeaders" };
    case "B":
      return { kind: "body", octets: reader.rest() };
    case "E": {
      const octets = reader.rest();
      return octets.length === 0 ? { kind: "endOfMessage" } : { kind: "endOfMessage", octets };
    }
    case "A":
      return { kind: "abort" };
    case "U":
      return { kind: "unknown", line: reader.text() };
    case "Q":
      return { kind: "quit" };
    case "K":
      return { kind: "quitSession" };
    default:
      throw new ProtocolFault(`unknown command ${JSON.stringify(packet.letter)}`);
  }
}

export function encodeTerms({ version, actions, steps }: Terms): Buffer {
  const data = Buffer.allocUnsafe(12);
  data.writeUInt32BE(version, 0);
  data.writeUInt32BE(actions >>> 0, 4);
  data.writeUInt32BE(steps >>> 0, 8);
  return data;
}

export function readTerms(reader: DataReader): Terms {
  return { version: reader.uint32(), actions: reader.uint32(), steps: reader.uint32() };
}

function readArguments(packet: Packet, reader: DataReader): readonly string[] {
  const args = reader.texts();
  if (args.length === 0) throw new ProtocolFault(`packet ${packet.letter} without an address`);
  return args;
}

function readMacros(reader: DataReader): Macros {
  const macros: Record<string, string> = Object.create(null) as Record<string, string>;
  while (!reader.atEnd) macros[reader.text()] = reader.text();
  return macros;
}

function encodeConnect(hostname: string, client: ClientAddress): Buffer {
  const letter = commandLetters.connect;
  if (client.family === "unknown")
    return encodePacket(letter, Buffer.from(`${hostname}\0${families.unknown}`, "latin1"));
  const port = String.fromCharCode((client.port >> 8) & 0xff, client.port & 0xff);
  const data = `${hostname}\0${families[client.family]}${port}${client.address}\0`;
  return encodePacket(letter, Buffer.from(data, "latin1"));
}

function readClient(reader: DataReader): ClientAddress {
  const letter = reader.character();
  if (letter === families.unknown) return { family: "unknown" };
  const family = letter === "4" ? "inet" : letter === "6" ? "inet6" : letter === "L" ? "unix" : undefined;
  if (family === undefined) throw new ProtocolFault(`unknown address family ${JSON.stringify(letter)}`);
  return { family, port: reader.uint16(), address: reader.text() };
}
