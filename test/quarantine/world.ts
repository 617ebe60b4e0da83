// A gateway that puts aside what asks for it: a message with `X-Isolate: reason`; what is for `bad-…@` is put aside for those recipients alone.
import { failureOf, formatFailure } from "../../packages/cli/src/failure.ts";
import type { Output } from "../../packages/cli/src/output.ts";
import { runCommand } from "../../packages/cli/src/program.ts";
import type { Config, GatewayOptions, GatewayProcess } from "../e2e/gateway.ts";
import { hand } from "../e2e/dialogue.ts";
import type { Ended } from "../e2e/run.ts";

export const isolating = `
  import { definePlugin } from "@postern/core";
  import { z } from "zod";
  export default definePlugin({
    name: "isolating", apiVersion: 1, options: z.strictObject({}),
    setup(gateway) {
      gateway.restriction({
        name: "isolate", description: "Puts aside what asks for it.", stages: ["message"], args: z.tuple([]),
        compile: () => ({ message }) => {
          const reason = message?.headers.get("X-Isolate")?.value;
          return reason === undefined ? undefined : { kind: "quarantine", text: reason };
        },
      });
      gateway.restriction({
        name: "isolate_all", description: "Puts everything aside.", stages: ["message"], args: z.tuple([]),
        compile: () => () => ({ kind: "quarantine", text: "all" }),
      });
      gateway.scanner({
        name: "partial", description: "Refuses for some.", onError: "defer",
        scan: ({ transaction }) => ({
          kind: "perRecipient",
          answers: transaction.recipients.map(({ address }) =>
            address.startsWith("bad-") ? { kind: "quarantine", text: "not for " + address } : undefined),
        }),
      });
    },
  });`;

/** Delivers to `nextHop`. */
export function isolatingGateway(nextHop: string, more: Config = {}): Pick<GatewayOptions, "config" | "files"> {
  const config = {
    domains: { relay: ["example.test"] },
    plugins: ["@postern/plugin-access", "@postern/plugin-transport-smtp", "./isolating.mjs"],
    policy: { message: ["isolate"] },
    relayhost: nextHop,
    state: { store: "memory" },
    ...more,
  };
  return { config, files: { "isolating.mjs": isolating } };
}

/** `postern ARGS…` in the gateway's folder, in this process: a process for each would take longer than all the rest. */
export async function postern({ folder }: Pick<GatewayProcess, "folder">, ...args: string[]): Promise<Ended> {
  let stdout = "";
  let stderr = "";
  const output: Output = {
    write: (text) => void (stdout += Buffer.from(text).toString("latin1")),
    warn: (text) => void (stderr += text),
    octets: async (piece) => void (stdout += Buffer.from(piece).toString("latin1")),
  };
  try {
    const status = await runCommand([...args], { cwd: folder, output });
    return { status, stdout, stderr };
  } catch (error) {
    const failure = failureOf(error);
    return { status: failure.exitCode, stdout, stderr: stderr + formatFailure(failure, args.includes("--json")) };
  }
}

/** Its result as JSON; throws when it fails. */
export async function posternJson<T>(gateway: Pick<GatewayProcess, "folder">, ...args: string[]): Promise<T> {
  const { status, stdout, stderr } = await postern(gateway, ...args, "--json");
  if (status !== 0) throw new Error(`postern ${args.join(" ")}: ${status}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** Sends one and gives its queue id. */
export async function send(port: number, to: string | readonly string[], content: string | Buffer): Promise<string> {
  const reply = await hand(port, { to, content });
  const [, id] = /^250 2\.0\.0 Ok: queued as (\S+)$/.exec(reply) ?? [];
  if (id === undefined) throw new Error(reply);
  return id;
}
