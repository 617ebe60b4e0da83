/** Access restrictions: Postfix's words for who may send, from where, to whom. */
import { definePlugin } from "@postern/core";
import { options } from "./options.ts";
import { createSleep } from "./sleep.ts";
import { registerWords } from "./words.ts";

export default definePlugin({
  name: "access",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    const sleep = createSleep();
    gateway.hooks.smtp.closed.tap((session) => sleep.closed(session));
    registerWords(gateway, given, sleep.word);
  },
});
