/** What is spoken on the control socket: one JSON object a line, one answer for each. */

export const socketName = "postern.sock";

/** No request is longer; who sends more is cut off. */
export const longestRequestBytes = 64 * 1024;
/** Answers list things: sessions, queues. */
export const longestAnswerBytes = 64 * 1024 * 1024;

export interface ControlRequest {
  readonly command: string;
  readonly args?: Readonly<Record<string, unknown>>;
}

export type ControlAnswer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: { readonly code: string; readonly message: string } };

/** Cuts a stream into lines within a limit. `undefined`: a line is longer than that. */
export function createLineReader(limitBytes: number): (chunk: Buffer) => readonly string[] | undefined {
  let held: Buffer[] = [];
  let heldBytes = 0;
  return (chunk) => {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      lines.push(Buffer.concat([...held, chunk.subarray(from, end)]).toString("utf8"));
      held = [];
      heldBytes = 0;
      from = end + 1;
    }
    const rest = chunk.subarray(from);
    heldBytes += rest.length;
    if (heldBytes > limitBytes || lines.some((line) => line.length > limitBytes)) return undefined;
    if (rest.length > 0) held.push(rest);
    return lines;
  };
}
