/** ICAP requests: OPTIONS, and the mail or a part of it as the HTTP message that engines expect (RFC 3507 §4.8, §4.9). */
import type { Session } from "@postern/core";
import type { IcapAddress } from "./address.ts";
import type { Item } from "./item.ts";

export type Method = "RESPMOD" | "REQMOD";

export interface RequestSettings {
  readonly method: Method;
  /** Our name, in the URL that stands for the mail. */
  readonly hostname: string;
  /** Further ICAP fields, as the config has them. */
  readonly headers: Readonly<Record<string, string>>;
}

export function composeOptions({ uri, authority }: IcapAddress): string {
  return `OPTIONS ${uri} ICAP/1.0\r\nHost: ${authority}\r\nUser-Agent: Postern\r\nEncapsulated: null-body=0\r\n\r\n`;
}

/** Everything before the body. `preview`: octets of it that follow before the service is asked whether it wants the rest. */
export function composeRequest(
  { uri, authority }: IcapAddress,
  { method, hostname, headers }: RequestSettings,
  item: Item,
  session: Pick<Session, "client" | "auth"> | undefined,
  preview: number | undefined,
): string {
  const url = `http://${hostname}/${item.name}`;
  const about = [
    `Content-Type: ${item.type}`,
    ...(item.sizeBytes === undefined ? [] : [`Content-Length: ${item.sizeBytes}`]),
    "",
    "",
  ].join("\r\n");
  const request =
    method === "RESPMOD"
      ? `GET ${url} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`
      : `POST ${url} HTTP/1.1\r\nHost: ${hostname}\r\n${about}`;
  const response = method === "RESPMOD" ? `HTTP/1.1 200 OK\r\n${about}` : "";
  const body = request.length + response.length;
  const encapsulated =
    method === "RESPMOD" ? `req-hdr=0, res-hdr=${request.length}, res-body=${body}` : `req-hdr=0, req-body=${body}`;
  const lines = [
    `${method} ${uri} ICAP/1.0`,
    `Host: ${authority}`,
    "User-Agent: Postern",
    "Allow: 204",
    ...(preview === undefined ? [] : [`Preview: ${preview}`]),
    ...(session?.client.address === undefined ? [] : [`X-Client-IP: ${session.client.address}`]),
    ...(session?.auth === undefined
      ? []
      : [`X-Authenticated-User: ${Buffer.from(`Local://${session.auth.identity}`).toString("base64")}`]),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `Encapsulated: ${encapsulated}`,
  ];
  return `${lines.join("\r\n")}\r\n\r\n${request}${response}`;
}
