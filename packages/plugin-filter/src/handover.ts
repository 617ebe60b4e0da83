/**
 * The last word on a message: a proxy takes it while the client waits (smtpd_proxy_filter), or it is queued for the content filter
 * (content_filter). What a filter gives back comes by another listener and is let through.
 */
import {
  parseNextHop,
  reply,
  Slots,
  SmtpNotHanded,
  type Handover,
  type HandoverAnswer,
  type HandoverAsk,
  type SmtpHanded,
  type SmtpHandOver,
} from "@postern/core";
import type { Options, ProxyOptions } from "./options.ts";

export interface HandoverScope {
  readonly name: string;
  readonly hostname: string;
  /** Where there is a proxy. */
  readonly smtp: SmtpHandOver | undefined;
  /** Told of failures. */
  readonly failed: (point: string, error: unknown) => void;
}

/** The proxy's own timeouts are shorter. */
const deadlineMs = 3_600_000;

const unavailable = reply(451, "4.3.0", "Content filter unavailable, try again later");
const refused = reply(554, "5.3.0", "Content filter unavailable");

export function createHandover(
  { contentFilter, except, proxy }: Pick<Options, "contentFilter" | "except" | "proxy">,
  scope: HandoverScope,
): Handover {
  const { smtp } = scope;
  const unfiltered = new Set(except);
  const take = proxy === undefined || smtp === undefined ? undefined : createProxy(proxy, smtp, scope);
  const wanted = proxy?.listeners === undefined ? undefined : new Set(proxy.listeners);
  return {
    name: scope.name,
    description: [
      ...(contentFilter === undefined ? [] : [`Content filter ${contentFilter}.`]),
      ...(proxy === undefined ? [] : [`Before the queue: ${proxy.address}.`]),
    ].join(" "),
    deadlineMs,
    filters: contentFilter === undefined ? [] : [contentFilter],
    listeners: [...except, ...(proxy?.listeners ?? [])],
    take(ask) {
      const way = wayOf(ask);
      return way === "proxy" && take !== undefined ? take(ask) : filtered(way);
    },
    explain(ask) {
      const way = wayOf(ask);
      if (way !== "proxy") return filtered(way);
      return { kind: "taken", reply: reply(250, "2.0.0", `if the proxy ${proxy?.address ?? ""} takes it`) };
    },
  };

  function wayOf({ session, held, filter }: Omit<HandoverAsk, "signal">): "proxy" | "filter" | "queue" {
    const { listener } = session;
    // What the policy sends by a filter of its own goes to the queue, as does what is held; that gets its filter for later.
    if (unfiltered.has(listener) || filter !== undefined) return "queue";
    if (proxy !== undefined && !held && (wanted?.has(listener) ?? true)) return "proxy";
    return "filter";
  }

  function filtered(way: "proxy" | "filter" | "queue"): HandoverAnswer {
    return way === "queue" || contentFilter === undefined ? undefined : { kind: "filter", destination: contentFilter };
  }
}

function createProxy(
  { address, helo, timeouts, connections, onError }: ProxyOptions,
  smtp: SmtpHandOver,
  { hostname, failed }: HandoverScope,
): (ask: HandoverAsk) => Promise<HandoverAnswer> {
  const hop = parseNextHop(address);
  const host = hop?.host ?? "";
  const endpoint = { name: host, address: host, port: hop?.port ?? 0 };
  const slots = new Slots(connections);

  return async ({ session, envelope, message, signal }) => {
    const { client } = session;
    try {
      const handed = await slots.run(signal, () =>
        smtp.send({
          endpoint,
          helo: helo ?? hostname,
          envelope,
          recipients: envelope.recipients,
          content: message.raw,
          xforward: {
            NAME: client.name === "unknown" ? undefined : client.name,
            ADDR: client.address?.includes(":") === true ? `IPV6:${client.address}` : client.address,
            PORT: client.port === undefined ? undefined : String(client.port),
            PROTO: session.helo?.verb === "EHLO" ? "ESMTP" : "SMTP",
            HELO: session.helo?.name,
            IDENT: envelope.id,
            SOURCE: client.inNetworks ? "LOCAL" : "REMOTE",
          },
          timeouts: { connectMs: timeouts.connect, commandMs: timeouts.command, endMs: timeouts.end },
          signal,
        }),
      );
      return answerOf(handed);
    } catch (error) {
      if (signal.aborted) return { kind: "defer", reply: unavailable };
      failed("proxy", error);
      // It may have taken the message: whatever the config says, the client comes again, and may then bring it twice.
      if (!(error instanceof SmtpNotHanded) || error.inDoubt || onError === "defer") {
        return { kind: "defer", reply: unavailable };
      }
      return onError === "skip" ? undefined : { kind: "reject", reply: refused };
    }
  };
}

function answerOf({ code, enhanced, text }: SmtpHanded): HandoverAnswer {
  if (code < 400) return { kind: "taken", reply: reply(code, enhanced, text) };
  // Its 421 is about its own connection, not about the client's.
  if (code < 500) return { kind: "defer", reply: reply(code === 421 ? 451 : code, enhanced, text) };
  return { kind: "reject", reply: reply(code, enhanced, text) };
}
