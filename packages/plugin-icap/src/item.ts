/** What is shown to a service: the mail as a whole, or each of its leaves with the transfer encoding undone. */
import { walkParts, type Message } from "@postern/core";

/** Something to be scanned. */
export interface Item {
  /** A path, safe in a URL; its extension is the file's. */
  readonly name: string;
  /** A MIME type. */
  readonly type: string;
  /** `undefined`: not known before it was read. */
  readonly sizeBytes: number | undefined;
  /** Its octets, from the beginning each time. */
  read(): AsyncIterable<Buffer>;
}

/** Each is a request. */
const mostParts = 1_000;
const longestName = 100;
const mimeType = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/;

export function wholeOf({ raw }: Message, id: string): Item {
  return { name: `${id}.eml`, type: "message/rfc822", sizeBytes: raw.sizeBytes, read: () => raw.read() };
}

/** Rejects with `MimeLimit`, which is `unscannable`. */
export async function* leavesOf(message: Message, id: string): AsyncGenerator<Item> {
  for await (const part of walkParts(message, { parts: mostParts })) {
    if (part.kind !== "leaf") continue;
    const { path, fileName } = part;
    const { essence } = part.type;
    yield {
      name: `${id}/${path}/${safeName(fileName)}`,
      type: mimeType.test(essence) ? essence : "application/octet-stream",
      sizeBytes: undefined,
      read: () => part.decoded(),
    };
  }
}

/** A stranger chose it. */
function safeName(fileName: string | undefined): string {
  const name = (fileName ?? "").toWellFormed().replace(/[^\p{L}\p{N}._ -]/gu, "_");
  // The extension says what engines do with it.
  return name === "" ? "part" : encodeURIComponent(name.slice(-longestName));
}
