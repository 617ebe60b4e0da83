/** `@postern/plugin-transport-maildir`: delivery into Maildirs below one folder. */
import { definePlugin } from "@postern/core";
import { z } from "zod";
import { createMaildirTransport } from "./maildir-transport.ts";

const options = z.strictObject({
  directory: z
    .string()
    .min(1)
    .describe("Folder of the Maildirs, `<directory>/<domain>/<local part>`; relative to the config's folder."),
});

export default definePlugin({
  name: "maildir",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    const { name, hostname, directory, clock, log } = gateway;
    gateway.transport(createMaildirTransport(given, { name, hostname, directory, clock, log }));
  },
});
