/**
 * The SMTP conversation: listeners, sessions, one file a command or stage. The only importer of smtp-server. It asks hooks,
 * policy and scanners and hands messages to the queue; it may not know the queue's inside, nor any plugin.
 */
export { formatSmtpEvent, type Decider, type RefusalDecision, type SmtpEvent } from "./events.ts";
export { parseRefusalLine, type RefusalLine } from "./log-line.ts";
export { addBlindCopies, describeEffects, lastEffect, redirectEnvelope } from "./effects.ts";
export * from "./front.ts";
export { connectInProcess, type InProcessClient } from "./in-process.ts";
export { createSmtpListener, type SmtpListener } from "./listener.ts";
export type { LineEndingPolicy } from "./line-endings.ts";
export { parseProxyHeader, type ProxiedClient, type ProxyHeader } from "./proxy-header.ts";
export type { SessionPolicy } from "./session-policy.ts";
