/** Any milter in front of mail, and this gateway's plugins as a milter of another mail server. */
import { definePlugin } from "@postern/core";
import { askMilters } from "./client/index.ts";
import { options } from "./options.ts";

export * from "./server/index.ts";

export default definePlugin({
  name: "milter",
  apiVersion: 1,
  options,
  setup: (gateway, given) => askMilters(gateway, given),
});
