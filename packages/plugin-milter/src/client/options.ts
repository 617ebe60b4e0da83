/** Options of the milters in front of this gateway's mail. */
import { clientList, duration, onError, serviceAddress, tableSpec } from "@postern/core";
import { z } from "zod";
import { macroStages, type MacroStage } from "../protocol/index.ts";
import { usualMacros } from "./macros.ts";
import { expectedAddress, parseAddress } from "./address.ts";

const address = serviceAddress((text) => parseAddress(text, "/"), expectedAddress);

const macroName = z.string().regex(/^(?:[A-Za-z_]|\{[^\s{},]+\})$/, {
  message: 'expected a macro such as "i" or "{client_addr}"',
});
const macroNames = z.array(macroName).max(100).optional();
const stages = Object.fromEntries(
  macroStages.map((stage) => [stage, macroNames.describe(`Unless given: \`${usualMacros[stage].join(" ")}\`.`)]),
) as Record<MacroStage, typeof macroNames>;

const timeout = (usual: string) => duration({ min: "1ms", max: "1h" }).default(usual);

const milterOptions = z.strictObject({
  address: address.describe(
    "Where it listens: `inet:host:port`, `inet6:[address]:port` or `unix:path` from the config's folder; also `inet:port@host` and `local:path`.",
  ),
  onError: onError().describe(
    "What stands when it cannot be asked: `defer`, `reject`, `quarantine` or `skip`, or an object of them by reason.",
  ),
  name: z
    .string()
    .regex(/^[\u0021-\u002b\u002d-\u007e]{1,60}$/, { message: "expected a name without blanks and commas" })
    .optional()
    .describe("In headers, in the log and in `clients`; its address unless given."),
  connectTimeout: timeout("30s").describe("For connecting."),
  commandTimeout: timeout("30s").describe("For each command up to DATA, and for the negotiation."),
  contentTimeout: timeout("300s").describe("For each piece of a message, and for each sign of life at its end."),
  protocol: z
    .union([z.literal(2), z.literal(3), z.literal(4), z.literal(6)])
    .default(6)
    .describe("The newest version of the protocol that is offered."),
  largePackets: z
    .boolean()
    .default(false)
    .describe("Offers packets of 256 KiB and 1 MiB for bodies, in place of 64 KiB; of version 6."),
  reuse: z
    .boolean()
    .default(false)
    .describe(
      "Keeps connections for further sessions. Only for milters that know it, such as rspamd: those over libmilter fail from their second session on.",
    ),
  idleConnections: z
    .int()
    .min(1)
    .max(1_000)
    .default(10)
    .describe("With `reuse`: connections that wait for a session at most."),
  maxIdle: duration({ min: "1ms", max: "1d" }).default("60s").describe("With `reuse`: how long they wait."),
  skip: clientList().optional().describe("Clients whose sessions it is not asked about."),
  macros: z
    .strictObject(stages)
    .default({})
    .describe("Macros by stage, in place of the usual ones; a milter that says itself which it wants goes before."),
  macroValues: z
    .record(macroName, z.string().max(1_000))
    .default({})
    .describe("Values of macros in place of the gateway's, such as `{daemon_name}`."),
});
export type MilterOptions = z.output<typeof milterOptions>;

export const clientOptions = {
  milters: z
    .array(milterOptions)
    .max(50)
    .default([])
    .superRefine((all, context) => {
      const names = all.map(nameOf);
      for (const [index, name] of names.entries()) {
        if (names.indexOf(name) < index) {
          context.addIssue({
            code: "custom",
            path: [index, "name"],
            message: `"${name}" is another milter's name already`,
          });
        }
      }
    })
    .describe("Milters, in the order in which they are asked."),
  clients: tableSpec()
    .optional()
    .describe(
      "Client address → `DISABLE`, or the names of those milters that are asked (Postfix's `smtpd_milter_maps`).",
    ),
};

export function nameOf({ name, address: text }: Pick<MilterOptions, "name" | "address">): string {
  return name ?? text;
}
