// A reload looks at every entry of the tables in memory: sessions go on meanwhile.
import access from "@postern/plugin-access";
import rewrite from "@postern/plugin-rewrite";
import { createTestGateway, type TestGatewayOptions } from "@postern/testkit";
import { expect, test } from "vitest";
import { z } from "zod";
import type { Config } from "../config/index.ts";
import { definePlugin } from "../plugin/index.ts";

const count = 20_000;

test.for<[what: string, value: string, config: Partial<Config>, plugins: NonNullable<TestGatewayOptions["plugins"]>]>([
  ["access", "REJECT", { policy: { rcpt: ["check_recipient_access many:x"] } }, [access]],
  ["routes", "smtp:[mx.test]", { routes: ["many:x"] }, []],
  ["aliases", "box@ours.test", {}, [[rewrite, { virtual: "many:x" }]]],
])("%s in memory", async ([, value, config, plugins]) => {
  let turns = 0;
  let turnsAmong = 0;
  const tick = (): void => {
    turns += 1;
    timer = setImmediate(tick);
  };
  let timer = setImmediate(tick);
  function* entries() {
    turns = 0;
    for (let at = 0; at < count; at += 1) yield { key: `user${at}@ours.test`, value };
    turnsAmong = turns;
  }
  const many = definePlugin({
    name: "many",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      gateway.tables.register("many", (name) => ({
        type: "many",
        name,
        kind: "indexed",
        trusted: true,
        lookup: () => undefined,
        entries,
        close: async () => undefined,
      }));
    },
  });
  await using gateway = await createTestGateway(config, { plugins: [many, ...plugins] });
  clearImmediate(timer);
  expect(gateway.runtime.generation.number).toBeGreaterThan(0);
  expect(turnsAmong).toBeGreaterThanOrEqual(count / 2000);
});
