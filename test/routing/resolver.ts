// Postfix's trivial-rewrite(8) asked directly, over its private socket and in its attribute protocol: what becomes of a recipient.
import { once } from "node:events";
import { connect } from "node:net";

export interface Resolved {
  readonly transport: string;
  readonly nextHop: string;
  readonly recipient: string;
  readonly flags: number;
}

export interface ResolverClient extends Disposable {
  resolve(sender: string, address: string): Promise<Resolved>;
}

/** Addresses are in internal form, without quotes. */
export async function connectResolver(path: string): Promise<ResolverClient> {
  const socket = connect(path);
  const answers = readAnswers(socket);
  await once(socket, "connect");
  const greeting = (await answers.next()).value;
  if (greeting?.[0]?.[1] !== "trivial_rewrite_protocol") throw new Error("this is no trivial-rewrite");
  return {
    async resolve(sender, address) {
      socket.write(`request\0resolve\0sender\0${sender}\0address\0${address}\0\0`);
      const { value: answer } = await answers.next();
      // Two attributes are called flags: the server's, which comes first, and the address's.
      const attributes = new Map(answer);
      const text = (name: string): string => attributes.get(name) ?? "";
      return {
        transport: text("transport"),
        nextHop: text("nexthop"),
        recipient: text("recipient"),
        flags: Number(text("flags")),
      };
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** Lists of names and values, each with a NUL behind it; an empty name ends a list. */
async function* readAnswers(
  socket: AsyncIterable<Buffer>,
): AsyncGenerator<readonly (readonly [string, string])[], undefined> {
  let rest = "";
  let attributes: [string, string][] = [];
  for await (const chunk of socket) {
    const words = (rest + chunk.toString("utf8")).split("\0");
    rest = words.pop() ?? "";
    let name: string | undefined;
    for (const word of words) {
      if (name !== undefined) {
        attributes.push([name, word]);
        name = undefined;
      } else if (word !== "") name = word;
      else {
        yield attributes;
        attributes = [];
      }
    }
    // A name without its value waits for more.
    if (name !== undefined) rest = `${name}\0${rest}`;
  }
  return undefined;
}
