/** What became of one recipient in one delivery attempt. Nothing else exists: what cannot be classified is deferred. */

export interface Outcome {
  readonly status: "delivered" | "deferred" | "bounced";
  /** RFC 3463, its class agreeing with the status: 2.y.z, 4.y.z, 5.y.z; 4.4.7 when the lifetime is over and the recipient bounces. */
  readonly enhanced: string;
  /** The peer's last reply or the agent's own words, one line; for logs and DSNs. */
  readonly text: string;
  /** Reporting peer, `mx1.example.test[192.0.2.1]:25`, or a transport's own name. */
  readonly remote?: string;
  /** TLS protocol and cipher of the delivery, when there was any. */
  readonly tls?: string;
  /** The command that `text` answers, `RCPT TO` or `end of DATA`, when `text` is the peer's reply; absent for our own words. */
  readonly inReplyTo?: string;
  /**
   * Whose duty a success DSN is (RFC 3461 §5.2): `passed` when the next hop speaks DSN and was told, `relayed` when it does not. Absent:
   * final delivery.
   */
  readonly dsn?: "passed" | "relayed";
}

export function delivered(text: string, extra: Partial<Outcome> = {}): Outcome {
  return { enhanced: "2.0.0", ...extra, status: "delivered", text };
}
export function deferred(text: string, extra: Partial<Outcome> = {}): Outcome {
  return { enhanced: "4.0.0", ...extra, status: "deferred", text };
}
export function bounced(text: string, extra: Partial<Outcome> = {}): Outcome {
  return { enhanced: "5.0.0", ...extra, status: "bounced", text };
}
