/** A message in packets: its header fields, and its body in pieces of the size that was agreed on. Octets are looked at by nobody. */
import type { Blob, HeaderField } from "@postern/core";
import { encodeCommand, packetHead, commandLetters } from "../protocol/index.ts";

const colon = 0x3a;

/**
 * Name and value, the lines of the value parted by LF. Without `leadingSpace` one blank behind the colon is not part of the value.
 * `undefined` for a line that is no field.
 */
export function headerPacket({ name, raw }: HeaderField, leadingSpace: boolean): Buffer | undefined {
  if (name === "") return undefined;
  const start = raw.indexOf(colon) + 1;
  const end = raw.length >= 2 && raw[raw.length - 1] === 0x0a ? raw.length - 2 : raw.length;
  const text = raw.toString("latin1", start, end);
  const value = text.includes("\r\n") ? text.replaceAll("\r\n", "\n") : text;
  return encodeCommand({
    kind: "header",
    name: raw.toString("latin1", 0, start - 1).trimEnd(),
    value: !leadingSpace && value.startsWith(" ") ? value.slice(1) : value,
  });
}

/** The packets of a body, each a list of parts that are not copied. */
export async function* bodyPackets(body: Blob, mostOctets: number): AsyncGenerator<readonly Uint8Array[]> {
  if (body.chunks !== undefined) {
    yield* gather(body.chunks, mostOctets, new Gathered());
    return;
  }
  const gathered = new Gathered();
  for await (const chunk of body.read()) yield* gather([chunk], mostOctets, gathered, false);
  if (gathered.octets > 0) yield gathered.take();
}

class Gathered {
  octets = 0;
  parts: Uint8Array[] = [];

  take(): readonly Uint8Array[] {
    const packet = [packetHead(commandLetters.body, this.octets), ...this.parts];
    this.parts = [];
    this.octets = 0;
    return packet;
  }
}

function* gather(
  chunks: readonly Buffer[],
  mostOctets: number,
  gathered: Gathered,
  isAll = true,
): Generator<readonly Uint8Array[]> {
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + mostOctets - gathered.octets);
      gathered.parts.push(part);
      gathered.octets += part.length;
      at += part.length;
      if (gathered.octets === mostOctets) yield gathered.take();
    }
  }
  if (isAll && gathered.octets > 0) yield gathered.take();
}
