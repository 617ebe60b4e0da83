/** `@postern/plugin-transport-maildir`: delivery into Maildirs below one folder. */
import { definePlugin } from "@postern/core";
import { createMaildirTransport } from "./maildir-transport.ts";
import { options } from "./options.ts";

export default definePlugin({
  name: "maildir",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    const { name, hostname, directory, clock, log } = gateway;
    gateway.transport(createMaildirTransport(given, { name, hostname, directory, clock, log }));
  },
});
