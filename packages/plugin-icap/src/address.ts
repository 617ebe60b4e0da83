/** Where an ICAP service is: `icap://host:port/service?arguments` (RFC 3507 §4.2), port 1344 where none is named. */
export interface IcapAddress {
  /** As written in requests. */
  readonly uri: string;
  /** For the Host field. */
  readonly authority: string;
  readonly host: string;
  readonly port: number;
}

/** `undefined` for what is no address. */
export function parseAddress(text: string): IcapAddress | undefined {
  const match = /^icap:\/\/(?:\[([0-9a-fA-F:.]+)\]|([^[\]\s:/?#@]+))(?::(\d{1,5}))?(\/[\x21-\x7e]*)$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const path = match?.[4];
  const port = Number(match?.[3] ?? 1344);
  if (host === undefined || path === undefined || port < 1 || port > 65_535 || path.includes("#")) return undefined;
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return { uri: `icap://${authority}${path}`, authority, host, port };
}
