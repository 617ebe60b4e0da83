/** `@postern/plugin-transport-maildir`: delivery into Maildirs below one folder. */
import { definePlugin } from "@postern/core";
import { createMaildirTransport } from "./maildir-transport.ts";
import { options } from "./options.ts";

export default definePlugin({
  name: "maildir",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    const { name, hostname, directory, recipientDelimiter, clock, log } = gateway;
    const scope = { name, hostname, directory, recipientDelimiter, clock, log };
    gateway.transport(createMaildirTransport(given, scope));
  },
});
