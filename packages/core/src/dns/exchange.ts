/**
 * One question to one server: a datagram from a fresh port with a random id (RFC 5452), TCP when the answer does not fit
 * (RFC 7766).
 */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { Clock } from "../model/clock.ts";
import { DnsUnavailable } from "../errors.ts";
import {
  decodeResponse,
  encodeQuestion,
  formatError,
  type Records,
  type RecordType,
  type Response,
} from "./question.ts";
import type { NameServer } from "../address/name-server.ts";

export interface Question {
  readonly name: string;
  readonly type: RecordType;
}

type Answered = Exclude<Response, { kind: "foreign" }>;

/** Nothing came at all, or nothing that belongs to the question. */
export class ServerSilent extends DnsUnavailable {
  override readonly name = "DnsUnavailable";
}

/** Asks once over UDP, then over TCP if need be, all within `timeoutMs`. Throws `DnsUnavailable`. */
export async function exchange(
  server: NameServer,
  question: Question,
  timeoutMs: number,
  clock: Clock,
): Promise<Records> {
  const until = clock.monotonic() + timeoutMs;
  let response = await askUdp(server, question, true, timeoutMs, clock);
  if (response.kind === "failed" && response.rcode === formatError) {
    response = await askUdp(server, question, false, until - clock.monotonic(), clock);
  }
  if (response.kind === "truncated") response = await askTcp(server, question, until - clock.monotonic(), clock);
  if (response.kind === "records") return response.records;
  throw new DnsUnavailable(`${describe(question)}: ${server.address} answers ${explain(response)}`);
}

function explain(response: Exclude<Answered, { kind: "records" }>): string {
  if (response.kind === "truncated") return "truncated even over TCP";
  return response.kind === "referral" ? "with a referral, it does not recurse" : `rcode ${response.rcode}`;
}

export function describe({ name, type }: Question): string {
  return `${type} ${name}`;
}

/** Forged answers wait for their turn in vain: each foreign datagram is dropped, and the time-out stays. */
function askUdp(
  server: NameServer,
  question: Question,
  edns: boolean,
  timeoutMs: number,
  clock: Clock,
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const id = randomInt(0x1_0000);
    const socket = createSocket(isIPv6(server.address) ? "udp6" : "udp4");
    const timer = clock.setTimer(() => fail("time-out", ServerSilent), Math.max(timeoutMs, 0));
    let open = true;
    const close = (): boolean => {
      if (!open) return false;
      open = false;
      timer.cancel();
      socket.close();
      return true;
    };
    const fail = (why: string, Failure = DnsUnavailable): void => {
      if (close()) reject(new Failure(`${describe(question)}: ${server.address}: ${why}`));
    };
    socket.on("error", (error) => fail(error.message));
    socket.on("message", (packet) => {
      const response = decodeResponse(packet, id, question.name, question.type);
      if (response.kind !== "foreign" && close()) resolve(response);
    });
    // Connected: the kernel drops other senders' datagrams and reports a closed port at once.
    socket.connect(server.port, server.address, () => {
      if (open) socket.send(encodeQuestion(id, question.name, question.type, edns));
    });
  });
}

function askTcp(server: NameServer, question: Question, timeoutMs: number, clock: Clock): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const id = randomInt(0x1_0000);
    const socket = connect(server.port, server.address);
    let received: Buffer = Buffer.alloc(0);
    const fail = (why: string): void => {
      timer.cancel();
      socket.destroy();
      reject(new DnsUnavailable(`${describe(question)}: ${server.address} over TCP: ${why}`));
    };
    const timer = clock.setTimer(() => fail("time-out"), Math.max(timeoutMs, 0));
    socket.on("error", (error) => fail(error.message));
    socket.on("end", () => fail("closed"));
    socket.on("connect", () => {
      const packet = encodeQuestion(id, question.name, question.type, false);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(packet.length);
      socket.write(Buffer.concat([length, packet]));
    });
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      const length = received.length < 2 ? Infinity : received.readUInt16BE(0);
      if (received.length < length + 2) return;
      const response = decodeResponse(received.subarray(2, length + 2), id, question.name, question.type);
      if (response.kind === "foreign") return fail("answer to another question");
      timer.cancel();
      socket.destroy();
      resolve(response);
    });
  });
}
