/** Authentication against a table of hashed passwords, and the hashes themselves for whoever makes them. */
import { definePlugin } from "@postern/core";
import { Failures } from "./failures.ts";
import { createHashPool } from "./hash-pool.ts";
import { options } from "./options.ts";
import { PasswordTable } from "./password-table.ts";

export { hashPassword, verifyPassword } from "./compute.ts";
export { HashFormatError, parseHash, schemes, usualCosts, type PasswordHash, type Scheme } from "./hash.ts";

/** Half of the guard's deadline for a plugin without one of its own: an outage is told by us, not by the guard. */
const usualDeadlineMs = 10_000;

export default definePlugin({
  name: "auth",
  apiVersion: 1,
  options,
  setup(gateway, { passwords, realm, failures, threads, waiting }) {
    const table = gateway.tables.use(passwords, { trustedOnly: true, withoutSubstitution: true });
    const deadlineMs = (gateway.deadlineMs ?? usualDeadlineMs) / 2;
    const pool = createHashPool({ threads, waiting, deadlineMs, clock: gateway.clock });
    const failed = gateway.sessionState(() => ({ count: 0 }));
    const known = new PasswordTable({
      table,
      pool,
      realm,
      failures: new Failures(gateway.store<number>("failures"), failures),
      countInSession: (session) => (failed(session).count += 1),
    });
    gateway.authenticator({
      name: gateway.name,
      description: "A table of hashed passwords.",
      verify: (credentials) => known.verify(credentials),
    });
    gateway.onReady(() => known.check());
    gateway.onClose(() => pool.close());
  },
});
