/** A question that can be asked, or an error that says why not. */
import { formatIp, parseIp } from "../address/index.ts";
import type { Explained, Question } from "./explained.ts";

const lineEnd = /[\r\n\0]/;

/** With the address in its one form. Throws `RangeError`. */
export function checkQuestion(question: Question): Question {
  const { client, helo, from, to, clientName, auth, message } = question;
  const ip = parseIp(client);
  if (ip === undefined) throw new RangeError(`"${client}" is no IP address`);
  const texts = [helo, from, clientName ?? "", auth ?? "", ...to];
  if (texts.some((text) => typeof text !== "string" || lineEnd.test(text))) {
    throw new RangeError("a name or an address has no line end in it");
  }
  if (helo === "" || /\s/.test(helo)) throw new RangeError(`"${helo}" is no name for HELO`);
  if (clientName !== undefined && !/^[\u0021-\u007e]{1,255}$/.test(clientName)) {
    throw new RangeError(`"${clientName}" is no host name`);
  }
  if (to.length === 0) throw new RangeError("a question needs a recipient");
  if (message !== undefined && message.length > 256 * 1024 * 1024) throw new RangeError("the message is too large");
  return { ...question, client: formatIp(ip) };
}

export function describeQuestion({ message, ...question }: Question, listener: string): Explained["question"] {
  return { ...question, listener, message: message !== undefined };
}
