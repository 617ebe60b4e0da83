/** Postfix's policy delegation protocol: the word `check_policy_service`, and lists of ours that other mail servers ask. */
import { definePlugin } from "@postern/core";
import { longestAsk, Service } from "./client/service.ts";
import { readSettings } from "./client/settings.ts";
import { checkPolicyService } from "./client/word.ts";
import { Notes } from "./notes.ts";
import { options } from "./options.ts";
import { listenFor } from "./server/listener.ts";

/** More than any service is waited for: what its settings allow at most. */
const longestMs = longestAsk({ timeoutMs: 3_600_000, tryLimit: 10, retryDelayMs: 60_000 });

export default definePlugin({
  name: "policy",
  apiVersion: 1,
  options,
  setup(gateway, options) {
    const { clock, directory, deadlineMs, log } = gateway;
    const notes = new Notes(clock, (text) => log.warn(text));
    const services = new Map<string, Service>();
    gateway.restriction(
      checkPolicyService({
        service(argument) {
          const settings = readSettings(argument, options.services, directory);
          const key = JSON.stringify(settings);
          let service = services.get(key);
          if (service === undefined) services.set(key, (service = new Service(settings, clock, deadlineMs)));
          return service;
        },
        notes,
        info: (text) => log.info(text),
        deadlineMs: (deadlineMs ?? longestMs) + 1_000,
      }),
    );
    for (const [index, listen] of options.listen.entries()) listenFor(gateway, listen, index, notes);
    gateway.onClose(() => {
      for (const service of services.values()) service.close();
    });
  },
});
