/** Everything from the client's socket to the 250 but the disk: the SMTP front, the policy, the hooks, Received, the log's lines. */
import { createIdSource } from "@postern/core";
import { runSmtpSource } from "../../test/services/smtp-source.ts";
import { createNamelessFiles, createSmtpListener, createSpooler, formatSmtpEvent, type SmtpHost } from "./core.ts";
import { clock, openGeneration } from "./gateway.ts";
import type { Part, PartScope } from "./part.ts";

export async function openAccept({ folder, sizeBytes }: PartScope): Promise<Part> {
  const generation = await openGeneration(folder, 1);
  let logged = 0;
  const host: SmtpHost = {
    clock,
    ids: createIdSource(() => clock.now(), Math.random),
    acquire: (sessionId) => generation.forSession(sessionId),
    spooler: createSpooler({ files: createNamelessFiles(folder), maxSizeBytes: 50 * 2 ** 20 }),
    hasRoom: () => true,
    enqueue: () => Promise.resolve(),
    quarantine: () => Promise.resolve(),
    withdraw: async () => undefined,
    log: (event) => void (logged += formatSmtpEvent(event).length),
  };
  const listener = createSmtpListener(
    {
      name: "mx",
      host: "127.0.0.1",
      port: 0,
      xclient: [],
      proxy: [],
      lineEndings: "reject",
      banner: "",
      tls: "starttls",
    },
    host,
  );
  const { port } = await listener.listen();
  return {
    name: "accept",
    covers: "20 sessions of smtp-source, many messages each, to the 250; no disk",
    async run(messages) {
      const result = await runSmtpSource({
        port,
        messages,
        sessions: 20,
        bodyBytes: sizeBytes,
        recipient: "user@example.test",
        args: ["-d"],
      });
      if (result.status !== 0 || logged === 0) throw new Error(`smtp-source: ${result.errors}`);
    },
    async close() {
      await listener.close(0);
      await generation.retire();
    },
  };
}
