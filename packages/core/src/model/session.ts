/** One SMTP conversation as everybody else sees it: plain data, structured-cloneable, named by its id. */

/** Client as judged: from the socket, the PROXY header or XCLIENT, in this order of growing authority. */
export interface Client {
  /** IPv4 or IPv6 text without brackets; `undefined` when XCLIENT said so. IPv4-mapped IPv6 is given as IPv4. */
  readonly address: string | undefined;
  readonly port: number | undefined;
  /** Name that the address resolves to and that resolves back (FCrDNS), else "unknown". */
  readonly name: string;
  /** The PTR name unverified, else "unknown". */
  readonly reverseName: string;
  /** Why `name` is "unknown": it is not there, or could not be asked. */
  readonly nameStatus: "ok" | "permanent" | "temporary";
  /** In the config's `networks`. */
  readonly inNetworks: boolean;
  /** A table of `networks` could not be asked: `inNetworks` is false then, and words that ask for it defer. */
  readonly networksUnavailable?: boolean;
}

export interface TlsInfo {
  /** "TLSv1.3". */
  readonly protocol: string;
  /** "TLS_AES_256_GCM_SHA384". */
  readonly cipher: string;
  readonly bits: number;
  readonly servername: string | undefined;
}

export interface Session {
  readonly id: string;
  /** The listener's name or `host:port`. */
  readonly listener: string;
  readonly startedAt: number;
  readonly client: Client;
  readonly server: { readonly address: string; readonly port: number };
  readonly helo: { readonly verb: "HELO" | "EHLO"; readonly name: string } | undefined;
  readonly tls: TlsInfo | undefined;
  /** Who logged in, by an authenticator or by what a trusted proxy says (mechanism "XCLIENT"). */
  readonly auth: { readonly identity: string; readonly mechanism: string } | undefined;
  /**
   * The client sent commands ahead of their turn: without EHLO, which would have told it that it may, or behind a command that ends a
   * group (RFC 2920 §3.1). Once true it stays.
   */
  readonly pipelinedEarly?: boolean;
}

/** Of `networks`, or logged in. */
export function isOwnClient({ client, auth }: Pick<Session, "client" | "auth">): boolean {
  return client.inNetworks || auth !== undefined;
}
