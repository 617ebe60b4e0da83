/**
 * Addresses as text: paths and mailboxes (RFC 5321 §4.1.2, RFC 6531), host names, IP addresses and networks, IDN, address
 * extensions, next-hops, name servers, sockets. Pure: no I/O, no DNS, no opinion about who may send to whom. Bad input is an answer with a reason, never an
 * exception; the one exception is `createNetworkList`, which reads the operator's config. All of it is linear in its input.
 */
export * from "./domain.ts";
export * from "./extension.ts";
export * from "./fault.ts";
export * from "./idn.ts";
export * from "./ip.ts";
export * from "./mailbox.ts";
export * from "./name-server.ts";
export * from "./network.ts";
export * from "./next-hop.ts";
export * from "./path.ts";
export * from "./socket-address.ts";
export { encodeXtext } from "./xtext.ts";
