/** `@postern/plugin-transport-smtp`: delivery to the next hop by SMTP, RFC 5321 and its extensions. */
import { definePlugin, smtpHandOver } from "@postern/core";
import { createHandOver } from "./hand-over.ts";
import { options } from "./options.ts";
import { createSmtpTransport } from "./smtp-transport.ts";

export default definePlugin({
  name: "smtp",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    const { name, hostname, clock, dns, log, routing } = gateway;
    gateway.transport(createSmtpTransport(given, { name, hostname, clock, dns, log, routing, random: Math.random }));
    // A second instance, under another name, offers no other.
    if (name === "smtp") gateway.provide(smtpHandOver, createHandOver(clock));
  },
});
