/** The options of the smtp transport; times as RFC 5321 §4.5.3.2 has them where it says something. */
import { duration } from "@postern/core";
import { z } from "zod";

export const options = z.strictObject({
  helo: z.string().min(1).max(255).optional().describe("Name given in EHLO; the gateway's hostname by default."),
  port: z.int().min(1).max(65_535).default(25).describe("Port where the next hop names none."),
  tls: z
    .enum(["may", "none"])
    .default("may")
    .describe("may: STARTTLS where it is offered, in clear where it is not or fails; none: never."),
  maxConcurrency: z.int().min(1).max(1_000).default(20).describe("Parallel deliveries to one destination."),
  maxRecipients: z.int().min(1).max(1_000).default(50).describe("Recipients in one delivery."),
  maxHosts: z.int().min(1).max(50).default(5).describe("Addresses of a next-hop tried in one delivery."),
  maxSessions: z
    .int()
    .min(1)
    .max(50)
    .default(2)
    .describe("Sessions with a next-hop that get past EHLO in one delivery."),
  localAddress: z
    .union([z.ipv4(), z.ipv6()], { error: 'expected an address such as "192.0.2.1" or "2001:db8::1"' })
    .optional()
    .describe("Address to connect from."),
  keep: z
    .strictObject({
      idle: duration().default("5s").describe("How long a connection is kept without mail; 0 keeps none."),
      lifetime: duration().default("300s").describe("How long a connection is used for further mail."),
      connections: z.int().min(0).max(10_000).default(100).describe("Idle connections kept in all."),
    })
    .prefault({})
    .describe("Connections kept for the next message to the same destination."),
  timeouts: z
    .strictObject({
      connect: duration().default("30s").describe("TCP connection to one address."),
      greeting: duration().default("5m").describe("The 220."),
      helo: duration().default("5m").describe("The reply to EHLO or HELO."),
      starttls: duration().default("2m").describe("The reply to STARTTLS, and the TLS handshake."),
      mail: duration().default("5m").describe("The reply to MAIL."),
      rcpt: duration().default("5m").describe("The reply to a RCPT."),
      data: duration().default("2m").describe("The reply to DATA."),
      block: duration().default("3m").describe("A piece of the message to be taken by the peer."),
      end: duration().default("10m").describe("The reply to the final dot."),
    })
    .prefault({})
    .describe("How long to wait for what."),
});

export type SmtpOptions = z.output<typeof options>;
export type Timeouts = SmtpOptions["timeouts"];
