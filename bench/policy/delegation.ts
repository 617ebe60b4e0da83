/** How many questions a second go to a policy service on loopback and back: what `check_policy_service` costs beside the service. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { systemClock, type Ask } from "@postern/core";
import { composeRequest } from "../../packages/plugin-policy/src/client/request.ts";
import { Service } from "../../packages/plugin-policy/src/client/service.ts";
import type { CaseOptions, Figure, FigureCase } from "../lib/figure-case.ts";
import { median } from "../lib/statistics.ts";

const ask: Ask = {
  stage: "rcpt",
  session: {
    id: "S",
    listener: "127.0.0.1:25",
    startedAt: 0,
    client: {
      address: "192.0.2.1",
      port: 54_321,
      name: "mail.client.example.net",
      reverseName: "mail.client.example.net",
      nameStatus: "ok",
      inNetworks: false,
    },
    server: { address: "198.51.100.25", port: 25 },
    helo: { verb: "EHLO", name: "mail.client.example.net" },
    tls: { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", bits: 256, servername: undefined },
    auth: undefined,
  },
  transaction: {
    id: "T",
    sessionId: "S",
    startedAt: 0,
    sender: "some.sender@client.example.net",
    recipients: [],
    body: "7bit",
    smtputf8: false,
    declaredSizeBytes: 12_345,
  },
  recipient: { address: "some.recipient@example.test", original: "some.recipient@example.test" },
  dry: false,
};

const variants = [
  { what: "one after another, over one connection", atOnce: 1, requestLimit: 0, share: 0.2 },
  { what: "20 at once, over 20 connections", atOnce: 20, requestLimit: 0, share: 1 },
  { what: "20 at once, a connection for each", atOnce: 20, requestLimit: 1, share: 0.1 },
] as const;

const questions = 50_000;

async function measure(port: number, atOnce: number, requestLimit: number, count: number): Promise<number> {
  const service = new Service(
    {
      name: "bench",
      address: { host: "127.0.0.1", port, text: `inet:127.0.0.1:${port}` },
      timeoutMs: 10_000,
      tryLimit: 1,
      retryDelayMs: 0,
      defaultAction: "DUNNO",
      context: "",
      connections: atOnce,
      requestLimit,
      maxIdleMs: 60_000,
      maxTtlMs: 600_000,
    },
    systemClock,
    undefined,
  );
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) await service.ask(composeRequest(ask, ""));
  };
  const from = performance.now();
  await Promise.all(Array.from({ length: atOnce }, one));
  const seconds = (performance.now() - from) / 1000;
  service.close();
  return count / seconds;
}

export const delegationCase: FigureCase = {
  name: "delegation",
  what: "questions of `check_policy_service` to a service on loopback that answers at once",
  needs: [],
  async measure({ runs, quick }: CaseOptions): Promise<readonly Figure[]> {
    const program = fileURLToPath(new URL("delegation-service.ts", import.meta.url));
    const child = fork(program, { stdio: ["ignore", "pipe", "inherit", "ipc"] });
    try {
      const [told] = (await once(child.stdout ?? child, "data")) as [Buffer];
      const port = Number(told.toString());
      const figures: Figure[] = [];
      for (const { what, atOnce, requestLimit, share } of variants) {
        const count = Math.round(questions * share * (quick ? 0.1 : 1));
        const rates: number[] = [];
        // The first round warms up.
        for (let run = 0; run <= runs; run += 1) {
          const rate = await measure(port, atOnce, requestLimit, count);
          if (run > 0) rates.push(rate);
        }
        figures.push({ what, value: median(rates), unit: "/s" });
      }
      return figures;
    } finally {
      child.disconnect();
    }
  },
};
