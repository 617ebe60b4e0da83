/** `tcp:host:port`, tcp_table(5): `get KEY` and one line of answer, both %XX coded. */
import {
  ConfigError,
  readTableParameters,
  type LookupTable,
  type TableParameters,
  type TableScope,
} from "@postern/core";
import { answerText } from "./answer-text.ts";
import type { ReplyReader } from "./connection.ts";
import { parseEndpoints } from "./endpoint.ts";
import { ExchangeError, printable } from "./exchange-error.ts";
import { decodePercent, encodePercent } from "./percent-code.ts";
import { readPool } from "./pool-parameters.ts";
import { StrangersTable } from "./strangers-table.ts";

/** Octets of a reply with its line end. */
const longestReply = 4096;
const newline = 0x0a;

export async function openTcp(name: string, scope: TableScope, object: TableParameters): Promise<LookupTable> {
  const label = name === "" ? "tcp" : `tcp:${name}`;
  if (name !== "" && object["hosts"] !== undefined) {
    throw new ConfigError(`table ${label}: servers stand in the name or in "hosts", not in both`);
  }
  const parameters = await readTableParameters("tcp", "", scope, name === "" ? object : { ...object, hosts: [name] });
  const endpoints = parseEndpoints(parameters.list("hosts"), { label, directory: scope.directory });
  const pool = readPool(parameters, endpoints, scope.clock);
  parameters.finish();
  return new StrangersTable({
    type: "tcp",
    name: name === "" ? endpoints.map(({ text }) => text).join(",") : name,
    label,
    pool,
    question: (key) => Buffer.from(`get ${encodePercent(key)}\n`, "latin1"),
    read: readReply,
    understand,
  });
}

interface TcpReply {
  readonly code: string;
  readonly text: Buffer;
}

/** One line with a code that means something; for any other the connection has served its time. */
const readReply: ReplyReader<TcpReply> = (bytes, seen) => {
  const end = bytes.indexOf(newline, seen);
  if (end >= longestReply || (end < 0 && bytes.length >= longestReply)) {
    throw new ExchangeError("rubbish", `a reply longer than ${longestReply} octets`);
  }
  if (end < 0) return undefined;
  const line = Buffer.from(bytes.subarray(0, end));
  const [, code] = /^([245])\d\d\s/.exec(line.toString("latin1", 0, 4)) ?? [];
  const text = code === undefined || line.includes(0) ? undefined : decodePercent(line.subarray(4));
  if (code === undefined || text === undefined) {
    throw new ExchangeError("rubbish", `malformed reply "${printable(line)}"`);
  }
  return { value: { code, text }, used: end + 1 };
};

function understand({ code, text }: TcpReply): string | undefined {
  if (code === "5") return undefined;
  if (code === "2") return answerText(text);
  throw new ExchangeError("denied", `the server could not ask: "${printable(text)}"`, { onlyThisKey: true });
}
