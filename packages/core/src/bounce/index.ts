/**
 * Bounces: the delivery status report (RFC 3464, RFC 6522) that tells a sender what was not delivered. Pure but for reading the
 * original's content, of which never more than a limit is read. It decides who is told and what the report says; it may not
 * queue, deliver or retry it, and knows no transport. A bounce has the null sender, and what has the null sender is never
 * bounced.
 */
export { composeBounce, type Bounce, type BounceRequest, type FailedRecipient } from "./compose-bounce.ts";
