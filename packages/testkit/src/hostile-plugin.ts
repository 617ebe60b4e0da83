/** A plugin that misbehaves at one point of the gateway, or at all of them. */
import { definePlugin, type PluginDefinition } from "@postern/core";
import { z } from "zod";
import { hostileCall, type HostileKind } from "./hostile.ts";

/** Hooks by their names, the word `hostile_word`, or a scanner. */
export type HostilePoint = "word" | "scanner" | (string & {});

/** `at` names the points; every hook when it is absent. Its words stand in a config as `hostile_word`. */
export function hostilePlugin(kind: HostileKind, at?: readonly HostilePoint[]): PluginDefinition {
  const call = hostileCall(kind);
  return definePlugin({
    name: "hostile",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      for (const group of Object.values(gateway.hooks)) {
        for (const point of Object.values(group) as { name: string; tap(call: unknown): void }[]) {
          if (at === undefined || at.includes(point.name)) point.tap(call);
        }
      }
      if (at?.includes("word") === true) {
        gateway.restriction({
          name: "hostile_word",
          description: "Misbehaves.",
          stages: ["connect", "helo", "mail", "relay", "rcpt", "data", "message"],
          args: z.tuple([]),
          compile: () => call,
        });
      }
      if (at?.includes("scanner") === true) {
        gateway.scanner({ name: "hostile", description: "Misbehaves.", scan: call });
      }
    },
  });
}
