/**
 * What the SMTP front needs from outside, and nothing more: a host that outlives sessions, a generation that each session
 * holds from its connect to its end, and the settings of listeners and limits in milliseconds and octets.
 */
import type { Authenticate } from "../authentication/index.ts";
import type { Hooks } from "../hooks/index.ts";
import type { Blob } from "../message/index.ts";
import type { Spooler } from "../message/index.ts";
import type { Clock, MaybePromise, QueuedMessage, Session, Transaction } from "../model/index.ts";
import type { HandOver } from "../plugin/index.ts";
import type { Rewriters } from "../rewrite/index.ts";
import type { Resolver } from "../dns/resolver.ts";
import type { ClientNetworks } from "../routing/client-networks.ts";
import type { Intakes, ScanOutcome, ScanRequest } from "../scanning/index.ts";
import type { SessionPolicy } from "./session-policy.ts";
import type { SmtpEvent } from "./events.ts";
import type { LineEndingPolicy } from "./line-endings.ts";

/** What outlives generations. */
export interface SmtpHost {
  readonly clock: Clock;
  /** Ids for sessions and messages (`createIdSource`). */
  readonly ids: () => string;
  /** The generation for a new session, counted until its `release()`. Without a session: for a look at the settings. */
  acquire(sessionId?: string): SessionGeneration;
  /** Where bodies wait until they are queued. */
  readonly spooler: Spooler;
  /** Is there room for so many octets more? An estimate, for MAIL with SIZE (RFC 1870 §6.1); `enqueue` has the last word. */
  hasRoom(bytes: number): boolean;
  /**
   * Resolves when the message is on stable storage. `STORE_FULL` becomes 452 4.3.1, anything else 451 4.3.0. `held`: why it is not to be
   * delivered before somebody releases it.
   */
  enqueue(message: QueuedMessage, content: Blob, held?: string): Promise<void>;
  /** The same for what is put aside; `reason` is one line for the operator. */
  quarantine(message: QueuedMessage, content: Blob, reason: string): Promise<void>;
  /** Takes out again what was put aside for some, since nobody took the message for the others. */
  withdraw(id: string): Promise<void>;
  /** Must not throw and must not wait. */
  log(event: SmtpEvent): void;
}

/** One generation as a session sees it. */
export interface SessionGeneration {
  readonly hooks: Hooks;
  readonly settings: SmtpSettings;
  /** Our own clients: may relay, are not limited in sessions and rate, get Message-ID and Date. */
  readonly networks: ClientNetworks;
  /** Asks for the client's names. Absent: clients have no names. */
  readonly resolver: Pick<Resolver, "reverse" | "a" | "aaaa"> | undefined;
  /** The lists of a listener for one session. */
  startPolicy(listener: string): SessionPolicy;
  /** The accepted envelope and header, last before the queue. */
  readonly rewriter: Pick<Rewriters, "rewrite" | "rewriteHeader"> | undefined;
  /** All scanners side by side. Absent when there are none. */
  readonly scan: ((request: ScanRequest) => MaybePromise<ScanOutcome | undefined>) | undefined;
  /** For the content of one message, given to engines while it comes. Absent when none of them wants that. */
  readonly beginScan?: ((session: Session, transaction: Transaction) => Intakes) | undefined;
  /** In place of the queue. Absent when no plugin wants that. */
  readonly handOver?: HandOver | undefined;
  /** Who a client is. Absent when there are no authenticators: AUTH is not offered then. */
  readonly authenticate?: Authenticate | undefined;
  /** The connection goes on as another session (XCLIENT): the state that plugins kept of the one before is freed. */
  renew(sessionId: string): void;
  /** Once, when the session is closed and nothing of it is running any more. */
  release(): void;
}

export interface SmtpSettings {
  /** In the greeting, EHLO, and Received. */
  readonly hostname: string;
  /** The domain of addresses that our own clients write without one. */
  readonly origin: string;
  /** PEM. STARTTLS is offered only when it is here; an implicit-TLS listener does not start without. */
  readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer } | undefined;
  readonly limits: SmtpLimits;
  /** Refusals end in ` [d=id]`, the decision's id in the log. */
  readonly showDecision?: boolean;
}

export interface SmtpLimits {
  readonly messageSizeBytes: number;
  /** Header section of one message. */
  readonly headerSizeBytes: number;
  /** Accepted recipients of one transaction. */
  readonly recipients: number;
  /** Received fields: more is a loop. */
  readonly hops: number;
  /** Open sessions in all, and of one client address (/64 for IPv6; 0 is no limit). Clients in `networks` are counted but never refused. */
  readonly sessions: number;
  readonly sessionsPerClient: number;
  /** New sessions of one client in a minute; `undefined` is no limit. */
  readonly sessionsPerMinute?: number | undefined;
  /** Refusals for good in one session before 421. A delivered message begins anew. */
  readonly errors: number;
  /** NOOP, RSET, VRFY, EHLO… and refusals for now outside of a transaction, between two messages; each one more counts as an error. */
  readonly junkCommands: number;
  /** Octets of a command line with its CRLF. */
  readonly commandLineBytes: number;
  /** For a whole command line, from the last reply. */
  readonly commandTimeoutMs: number;
  /** For DATA or all chunks of BDAT as a whole. */
  readonly dataTimeoutMs: number;
  /** Over each minute of a transfer but the first; 0 is no limit. */
  readonly minRateBytesPerSecond: number;
}

export interface ListenerSettings {
  /** In `Session.listener`, in logs, and for its own policy lists. */
  readonly name: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Networks that may use XCLIENT. */
  readonly xclient: readonly string[];
  /** Networks that must send a PROXY header, v1 or v2, before anything else. */
  readonly proxy: readonly string[];
  readonly lineEndings: LineEndingPolicy;
  /** After `220 hostname ESMTP`. */
  readonly banner: string;
  /** `starttls` offers it when there is a key; `required` takes no mail without. */
  readonly tls: "starttls" | "required" | "implicit" | "off";
  /** AUTH: not at all, for whoever wants, or before any MAIL. `off` unless given. */
  readonly auth?: "off" | "offered" | "required";
  /** AUTH also without TLS: passwords go in clear. */
  readonly authWithoutTls?: boolean;
  /** Received tells who was authenticated. */
  readonly authenticatedHeader?: boolean;
}

export interface ListenerAddress {
  readonly host: string;
  readonly port: number;
}
