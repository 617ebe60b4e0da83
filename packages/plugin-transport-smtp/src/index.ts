/** `@postern/plugin-transport-smtp`: delivery to the next hop by SMTP, RFC 5321 and its extensions. */
import { definePlugin } from "@postern/core";
import { options } from "./options.ts";
import { createSmtpTransport } from "./smtp-transport.ts";

export default definePlugin({
  name: "smtp",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    const { name, hostname, clock, dns, log, routing } = gateway;
    gateway.transport(createSmtpTransport(given, { name, hostname, clock, dns, log, routing, random: Math.random }));
  },
});
