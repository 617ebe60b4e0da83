/** What explaining a question tells: plain data, the JSON of `postern explain --json`. Fields are added, never renamed. */
import type { AddressClass } from "../model/index.ts";
import type { RewriteStep } from "../rewrite/index.ts";
import type { Decider } from "../smtp/index.ts";

/** A session that nobody had. */
export interface Question {
  /** IPv4 or IPv6. */
  readonly client: string;
  /** The client's verified name; "unknown" for none. Absent: DNS is asked, as in a session. */
  readonly clientName?: string | undefined;
  readonly helo: string;
  /** "" is the null sender. */
  readonly from: string;
  readonly to: readonly string[];
  /** The client has authenticated as this. */
  readonly auth?: string | undefined;
  /** The client speaks TLS. As on a listener with implicit TLS, where it is always so. */
  readonly tls?: boolean | undefined;
  /** The content, as it stands in a file: any line ends. Absent: nothing is judged after DATA. */
  readonly message?: string | Uint8Array | undefined;
  /** The listener's name; the first one's unless given. */
  readonly listener?: string | undefined;
}

export type ExplainedVerdict = "accepted" | "refused" | "deferred";

export interface Explained {
  readonly question: Omit<Question, "message"> & { readonly message: boolean };
  /** As the session saw it; absent when it did not come so far. */
  readonly client: ExplainedClient | undefined;
  /** The worst that a recipient, or the whole message, meets. */
  readonly verdict: ExplainedVerdict;
  /** In the order of the question. */
  readonly recipients: readonly ExplainedRecipient[];
  readonly commands: readonly ExplainedCommand[];
  readonly rewriting: readonly ExplainedStep[];
  /** Of each recipient that would be queued. */
  readonly routes: readonly ExplainedRoute[];
  /** What would become of the message beside delivery: held, dropped, filtered. */
  readonly effects: readonly string[];
  /** What the log would say. */
  readonly notes: readonly string[];
}

export interface ExplainedClient {
  readonly address: string | undefined;
  readonly name: string;
  readonly reverseName: string;
  readonly inNetworks: boolean;
}

export interface ExplainedRecipient {
  readonly address: string;
  readonly verdict: ExplainedVerdict;
  /** What the client is told last about it. */
  readonly reply: string;
  readonly by: Decider | undefined;
}

/** One command of the client and all that was asked for it. */
export interface ExplainedCommand {
  /** "CONNECT", "HELO", "MAIL", "RCPT", "DATA", "MESSAGE". */
  readonly command: string;
  /** As the client sends it; empty for CONNECT and MESSAGE. */
  readonly said: string;
  /** Lines of the reply. Empty when the conversation ends before it. */
  readonly replies: readonly string[];
  /** Who refused; absent when nobody did. */
  readonly by: Decider | undefined;
  readonly lists: readonly ExplainedList[];
  /** What is asked beside words: names of the client, `networks`, domains, recipients. */
  readonly tables: readonly ExplainedLookup[];
  readonly dns: readonly ExplainedDns[];
}

export interface ExplainedList {
  /** The stage, "relay guard", "recipients" or "scanners". */
  readonly list: string;
  readonly words: readonly ExplainedWord[];
}

export type ExplainedAnswer =
  "permit" | "reject" | "defer" | "none" | "effects" | "failed" | "not asked" | "not reached";

export interface ExplainedWord {
  /** `policy.rcpt[2]`, `policy.classes.strangers[0]`. */
  readonly path: string;
  /** Where the class was named that the word was unfolded from. */
  readonly via: readonly string[];
  readonly word: string;
  readonly args: readonly unknown[];
  readonly plugin: string;
  /** Behind warn_if_reject. */
  readonly warn: boolean;
  readonly answer: ExplainedAnswer;
  /** The reply, the failure, or why it was not asked. */
  readonly reason: string | undefined;
  readonly effects: readonly string[];
  readonly ms: number;
  readonly tables: readonly ExplainedLookup[];
  readonly dns: readonly ExplainedDns[];
  /** Words that a table named. */
  readonly words: readonly ExplainedWord[];
}

export interface ExplainedLookup {
  readonly table: string;
  readonly key: string;
  readonly result: "found" | "not found" | "unavailable";
  readonly value?: string;
  readonly file?: string;
  readonly line?: number;
}

export interface ExplainedDns {
  /** "a", "mx", "txt", "reverse". */
  readonly type: string;
  readonly name: string;
  /** As text; empty: there are none. */
  readonly answers: readonly string[];
  /** Why there is no answer. */
  readonly error?: string;
  readonly ms: number;
}

/** In order. */
export type ExplainedStep = RewriteStep;

export interface ExplainedRoute {
  readonly recipient: string;
  readonly original: string;
  /** Absent when it cannot be told now. */
  readonly route?: { readonly class: AddressClass; readonly transport: string; readonly nextHop: string };
  /** A sentence. */
  readonly why: string;
  readonly tables: readonly ExplainedLookup[];
}
