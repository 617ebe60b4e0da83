/** The client's side of a conversation in process: one command at a time, replies as they come. */
import type { Duplex } from "node:stream";
import { PosternError } from "../errors.ts";

const lastLine = /^\d{3}(?: |$)/;

export class ExplainClient {
  readonly #stream: Duplex;
  readonly #lines: string[] = [];
  #rest = "";
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => this.#take(text));
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    stream.on("end", end);
    stream.on("close", end);
    stream.on("error", end);
  }

  /** Lines of the next reply; none when the conversation is over. Throws DEADLINE_EXCEEDED. */
  async reply(withinMs: number): Promise<readonly string[]> {
    let timer: NodeJS.Timeout | undefined;
    const expired = new Promise<never>((_, refuse) => {
      const error = new PosternError("DEADLINE_EXCEEDED", `no reply within ${withinMs / 1000} s`);
      timer = setTimeout(() => refuse(error), withinMs);
    });
    try {
      for (;;) {
        const end = this.#lines.findIndex((line) => lastLine.test(line));
        if (end >= 0) return this.#lines.splice(0, end + 1);
        if (this.#ended) return [];
        const more = new Promise<void>((resolve) => (this.#wake = resolve));
        await Promise.race([more, expired]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  write(text: string | Uint8Array): void {
    if (!this.#ended) this.#stream.write(text);
  }

  close(): void {
    this.#stream.destroy();
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\r\n");
    this.#rest = lines.pop() ?? "";
    this.#lines.push(...lines);
    this.#wake?.();
  }
}

/** As a client sends it: CRLF, dots doubled, the final dot. */
export function asContent(message: string | Uint8Array): Buffer {
  const text = Buffer.from(message).toString("latin1");
  const lines = text.split(/\r\n|\r|\n/);
  if (lines.at(-1) === "") lines.pop();
  const stuffed = lines.map((line) => (line.startsWith(".") ? `.${line}` : line));
  return Buffer.from([...stuffed, ".", ""].join("\r\n"), "latin1");
}
