/** Options: the services that `check_policy_service` asks, and the addresses where this gateway is asked itself. */
import { cidr, duration, serviceAddress, type PolicyEntry } from "@postern/core";
import { z } from "zod";
import { expectedAddress, isAddress, parseAddress } from "./address.ts";

const address = serviceAddress((text) => parseAddress(text, "/"), expectedAddress);

/** One service. The names are Postfix's `smtpd_policy_service_…`. */
export const serviceOptions = z.strictObject({
  address: address.describe("Where it listens: `inet:host:port`, or `unix:path` from the config's folder."),
  timeout: duration({ min: "1ms", max: "1h" })
    .default("100s")
    .describe("For connecting, asking and answering, each time it is tried."),
  defaultAction: z
    .string()
    .min(1)
    .default("451 4.3.5 Server configuration problem")
    .describe("Stands in place of an answer that did not come or cannot be used; any access(5) action."),
  tryLimit: z.int().min(1).max(10).default(2).describe("How often it is tried for one question."),
  retryDelay: duration({ max: "1m" }).default("1s").describe("Between two tries."),
  requestLimit: z
    .int()
    .min(0)
    .default(0)
    .describe("Questions over one connection, which is closed then; 0 for any number."),
  maxIdle: duration({ min: "1ms", max: "1d" })
    .default("300s")
    .describe("A connection that was not used for so long is closed."),
  maxTtl: duration({ min: "1ms", max: "1d" }).default("1000s").describe("No connection is used when it is older."),
  context: z.string().default("").describe("Sent as `policy_context`."),
  connections: z
    .int()
    .min(1)
    .max(1_000)
    .default(20)
    .describe("Questions at one time; others wait, no longer than `timeout`."),
});
export type ServiceOptions = z.output<typeof serviceOptions>;

const listOptions = z.strictObject({
  address: address.describe("Where it listens: `inet:host:port`, or `unix:path` from the config's folder."),
  list: z
    .array(
      z.union([z.string(), z.tuple([z.string()], z.unknown())], {
        error: 'expected a word such as "permit_mynetworks", or ["word", argument, …]',
      }),
    )
    .min(1)
    .transform((entries) => entries as unknown as readonly PolicyEntry[])
    .describe(
      "Words of the policy language, as in `policy.rcpt`; those that cannot stand at a stage are left out there.",
    ),
  permit: z
    .enum(["DUNNO", "OK"])
    .default("DUNNO")
    .describe("What a permit of the list is told as. OK lets the asking server skip the rest of its own list."),
  allow: z
    .array(cidr())
    .default(["127.0.0.0/8", "::1/128"])
    .describe("Networks that may ask. Who may use a unix socket is said by its `mode`."),
  mode: z
    .string()
    .regex(/^0?[0-7]{3}$/, { message: 'expected rights such as "0660"' })
    .default("0660")
    .describe("Rights of a unix socket, octal."),
  connections: z.int().min(1).max(10_000).default(200).describe("Connections at one time; more are closed at once."),
  timeout: duration({ min: "1ms", max: "1h" })
    .default("10s")
    .describe("For one question to come in, once it has begun."),
  maxIdle: duration({ min: "1ms", max: "1d" })
    .default("20m")
    .describe("A connection over which nothing is asked for so long is closed. Postfix closes its own after 300s."),
});
export type ListenOptions = z.output<typeof listOptions>;

export const options = z.strictObject({
  services: z
    .record(
      z.string().refine((name) => /^[A-Za-z][\w.-]*$/.test(name) && !isAddress(name), {
        message: "expected a name of letters, digits and . _ -",
      }),
      serviceOptions,
    )
    .default({})
    .describe("Policy services by the name that `check_policy_service` gives them."),
  listen: z
    .array(listOptions)
    .default([])
    .superRefine((all, context) => {
      for (const [index, { address: own }] of all.entries()) {
        if (all.findIndex((other) => other.address === own) < index) {
          context.addIssue({ code: "custom", path: [index, "address"], message: `"${own}" is listened on already` });
        }
      }
    })
    .describe("Where other mail servers ask lists of this gateway."),
});
export type Options = z.output<typeof options>;
