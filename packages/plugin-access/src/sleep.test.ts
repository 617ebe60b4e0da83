// Who leaves while it is kept waiting leaves nothing behind.
import { createFakeClock, createTestGateway } from "@postern/testkit";
import { expect, test } from "vitest";
import access from "./index.ts";

test("a client that leaves is not waited for, and nobody asks about it any more", async () => {
  const clock = createFakeClock();
  const gateway = await createTestGateway(
    {
      domains: { relay: ["example.test"] },
      policy: { rcpt: ["sleep 200, sleep 200, warn_if_reject reject_unauth_destination"] },
    },
    { plugins: [access], clock },
  );
  const idle = clock.pending;
  const client = gateway.connect({ remoteAddress: "192.0.2.1" });
  await clock.run(1);
  client.write("EHLO a.test\r\n");
  await clock.run(1);
  client.write("MAIL FROM:<a@source.test>\r\n");
  await clock.run(1);
  const waiting = clock.pending;
  client.write("RCPT TO:<b@example.test>\r\n");
  await clock.run(1);
  expect(clock.pending).toBeGreaterThan(waiting);
  client.destroy();
  await clock.run(1);
  expect(clock.pending).toBe(idle);
  await gateway.close();
});
