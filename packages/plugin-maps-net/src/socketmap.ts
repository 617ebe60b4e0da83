/** `socketmap:inet:host:port:map` and `socketmap:unix:path:map`, socketmap_table(5): Sendmail's protocol in netstrings. */
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
import { netstringReader, writeNetstring } from "./netstring.ts";
import { readPool } from "./pool-parameters.ts";
import { StrangersTable } from "./strangers-table.ts";

const longestReply = 100_000;

export async function openSocketmap(name: string, scope: TableScope, object: TableParameters): Promise<LookupTable> {
  const label = name === "" ? "socketmap" : `socketmap:${name}`;
  if (name !== "" && (object["hosts"] !== undefined || object["map"] !== undefined)) {
    throw new ConfigError(`table ${label}: server and map stand in the name or in "hosts" and "map", not in both`);
  }
  const named = name === "" ? {} : splitName(name, label);
  const parameters = await readTableParameters("socketmap", "", scope, { ...object, ...named });
  const map = parameters.required("map");
  const endpoints = parseEndpoints(parameters.list("hosts"), { label, directory: scope.directory });
  const pool = readPool(parameters, endpoints, scope.clock);
  const reader = netstringReader(
    parameters.integer("max_reply_size", longestReply, { min: 16, max: 100 * longestReply }),
  );
  parameters.finish();
  return new StrangersTable({
    type: "socketmap",
    name: name === "" ? `${endpoints.map(({ text }) => text).join(",")}:${map}` : name,
    label,
    pool,
    question: (key) => writeNetstring(`${map} ${key}`),
    read: readAnswer(reader),
    understand,
  });
}

/** The map is what stands behind the last colon. */
function splitName(name: string, label: string): { hosts: string[]; map: string } {
  const [, host, map] = /^((?:inet|unix):.+):([^:]+)$/.exec(name) ?? [];
  if (host === undefined || map === undefined) {
    throw new ConfigError(`table ${label}: write socketmap:inet:host:port:map or socketmap:unix:/path:map`);
  }
  return { hosts: [host], map };
}

interface SocketmapAnswer {
  readonly status: string;
  readonly data: Buffer;
}

const statusForm = /^(OK(?= )|NOTFOUND|TEMP|TIMEOUT|PERM)(?: |$)/;

/** A status that nobody knows, and an OK without data: whoever says that is no socketmap server. */
function readAnswer(reader: ReplyReader<Buffer>): ReplyReader<SocketmapAnswer> {
  return (bytes, seen) => {
    const reply = reader(bytes, seen);
    if (reply === undefined) return undefined;
    const [head, status] = statusForm.exec(reply.value.toString("latin1", 0, 16)) ?? [];
    if (head === undefined || status === undefined) {
      throw new ExchangeError("rubbish", `unknown answer "${printable(reply.value)}"`);
    }
    return { value: { status, data: reply.value.subarray(head.length) }, used: reply.used };
  };
}

function understand({ status, data }: SocketmapAnswer): string | undefined {
  if (status === "OK") return answerText(data);
  if (status === "NOTFOUND") return undefined;
  throw new ExchangeError("denied", `the server says ${status} "${printable(data)}"`, { onlyThisKey: true });
}
