/** Name servers as a config writes them: an address, with a port if it is not 53. */
import { isIP } from "node:net";

export interface NameServer {
  /** May carry a zone, `fe80::1%eth0`. */
  readonly address: string;
  readonly port: number;
}

export const dnsPort = 53;
const form = /^(?:\[([^\]]+)\]|([^:[\]]+|[^[\]]*:[^[\]]*:[^[\]]*))(?::(\d{1,5}))?$/;

/** `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`; `undefined` for anything else. */
export function parseNameServer(text: string): NameServer | undefined {
  const [, bracketed, plain, portText] = form.exec(text) ?? [];
  const address = bracketed ?? plain ?? "";
  const port = portText === undefined ? dnsPort : Number(portText);
  return isAddress(address) && port > 0 && port <= 65_535 ? { address, port } : undefined;
}

function isAddress(text: string): boolean {
  return isIP(text.replace(/%.*$/, "")) !== 0;
}
