/** Four figures of a built gateway, each of a process of its own. */
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "../../test/services/ports.ts";
import { composeMessage, SmtpSession } from "../lib/latency-client.ts";
import { readStatusBytes } from "../lib/process-usage.ts";
import { startPostern } from "../relay/postern.ts";
import type { System } from "../relay/run.ts";
import type { CountingSink } from "../relay/sink.ts";

const idleSessions = 1000;
const largeBytes = 50 * 1_000_000;
/** Until what the start left behind is collected, and figures stand. */
const settleMs = 3000;

interface Scope {
  /** A new name in it for each process. */
  readonly folder: string;
  readonly sink: CountingSink;
}

let started = 0;

async function startBuilt({ folder, sink }: Scope): Promise<System> {
  started += 1;
  return startPostern({
    folder: join(folder, String(started)),
    port: await freePort(),
    sinkPort: sink.port,
    built: true,
    config: {
      limits: { sessions: 2000, sessionsPerClient: 2000, messageSize: "60MB" },
      // Without the relay benchmark's own plugin, for which Node would load its TypeScript parser.
      plugins: ["@postern/plugin-access", "@postern/plugin-transport-smtp"],
    },
  });
}

async function withGateway<T>(scope: Scope, use: (gateway: System) => Promise<T>): Promise<T> {
  const gateway = await startBuilt(scope);
  try {
    return await use(gateway);
  } finally {
    await gateway.stop();
  }
}

/** Milliseconds from the spawn to a 220 read by a client, which asks every five milliseconds. */
export async function measureStart(scope: Scope): Promise<number> {
  const startedAt = performance.now();
  return withGateway(scope, async () => performance.now() - startedAt);
}

/** Resident set after the start, in bytes. */
export function measureIdle(scope: Scope): Promise<number> {
  return withGateway(scope, async ({ pid }) => {
    await delay(settleMs);
    return readStatusBytes(pid, "VmRSS");
  });
}

/** Growth of the resident set for each of 1,000 sessions that have said EHLO and nothing else, in bytes. */
export function measureSessions(scope: Scope): Promise<number> {
  return withGateway(scope, async ({ pid, port }) => {
    await delay(settleMs);
    const before = readStatusBytes(pid, "VmRSS");
    using sessions = new DisposableStack();
    for (let count = 0; count < idleSessions; count += 1) {
      const session = sessions.use(new SmtpSession(connect({ port, host: "127.0.0.1" })));
      await session.expect("220");
      await session.say("EHLO idle.source.test", "250");
    }
    await delay(settleMs);
    return (readStatusBytes(pid, "VmRSS") - before) / idleSessions;
  });
}

/** Peak of the resident set over what it was before, while one message of 50 MB is taken and handed on, in bytes. */
export function measureLarge(scope: Scope): Promise<number> {
  return withGateway(scope, async ({ pid, port }) => {
    await delay(settleMs);
    const before = readStatusBytes(pid, "VmRSS");
    writeFileSync(`/proc/${pid}/clear_refs`, "5"); // the peak begins anew, proc(5)
    const arrived = scope.sink.reached(scope.sink.messages() + 1, 60_000);
    using session = new SmtpSession(connect({ port, host: "127.0.0.1" }));
    await session.expect("220");
    await session.say("EHLO large.source.test", "250");
    await session.say("MAIL FROM:<sender@source.test>", "250");
    await session.say("RCPT TO:<user@example.test>", "250");
    await session.say("DATA", "354");
    await session.write(composeMessage(largeBytes));
    await session.say(".", "250");
    await arrived;
    return readStatusBytes(pid, "VmHWM") - before;
  });
}
