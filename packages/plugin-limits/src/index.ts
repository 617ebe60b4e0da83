/** Limits on rates and open sessions, a tarpit for errors, and a pause before the greeting. */
import { randomBytes } from "node:crypto";
import { definePlugin, PluginError } from "@postern/core";
import { createExemptions } from "./exemptions.ts";
import { createGreetPause } from "./greet-pause.ts";
import { createLimits } from "./limits.ts";
import { createTrouble } from "./trouble.ts";
import { options } from "./options.ts";
import { SessionCounts } from "./session-counts.ts";
import { SharedRates } from "./shared-rates.ts";
import { createTarpit } from "./tarpit.ts";

/** Strangers make keys: each sender and recipient is one. */
const mostEntries = 1_000_000;

export default definePlugin({
  name: "limits",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    const { clock, hooks } = gateway;
    const exempt = createExemptions(gateway, given);
    const space = gateway.store<number>("rates", { maxEntries: mostEntries });
    const open = gateway.store<number>("sessions", { maxEntries: mostEntries });
    const greeted = gateway.store<number>("greeted", { maxEntries: mostEntries, lazy: true });
    const { deadlineMs = 10_000 } = gateway;
    if (given.greetPause !== undefined && given.greetPause.delay >= deadlineMs) {
      throw new PluginError(
        gateway.name,
        `greetPause.delay must be shorter than the entry's deadline, ${deadlineMs} ms`,
      );
    }
    // Nobody is counted who only asks what would be.
    if (gateway.dry) return;
    const troubled = createTrouble(gateway);
    const rates = new SharedRates(space, clock, troubled);
    const mark = gateway.sessionState(() => ({}));
    const sessions = new SessionCounts(open, clock, mark, randomBytes(6).toString("hex"), troubled);
    const limits = createLimits(given, rates, sessions, exempt);
    hooks.smtp.connect.tap({ place: "restrict" }, (session) => limits.connect(session));
    hooks.smtp.auth.tap({ place: "restrict" }, (identity, _, session) => limits.auth(identity, session));
    hooks.smtp.mail.tap({ place: "restrict" }, (sender, _, session) => limits.mail(sender, session));
    hooks.smtp.rcpt.tap({ place: "restrict" }, (recipient, transaction, session) =>
      limits.rcpt(recipient, transaction, session),
    );
    hooks.smtp.closed.tap((session) => limits.closed(session));
    if (given.tarpit !== undefined) hooks.smtp.tarpit.tap(createTarpit(given.tarpit, exempt));
    const { greetPause } = given;
    if (greetPause !== undefined) {
      const pause = createGreetPause(greetPause, given, greeted, exempt, clock, troubled);
      hooks.smtp.connect.tap((session) => pause.connect(session));
      hooks.smtp.closed.tap((session) => pause.closed(session));
    }
    gateway.onClose(async () => {
      await rates.close();
      await sessions.close();
    });
  },
});
