// A reload looks at every entry of the tables in memory: sessions go on meanwhile.
import access from "@postern/plugin-access";
import rewrite from "@postern/plugin-rewrite";
import { createTestGateway, type TestGatewayOptions } from "@postern/testkit";
import { expect, test } from "vitest";
import type { Config } from "../config/index.ts";

type Table = Readonly<Record<string, string>>;
type Start = readonly [config: Partial<Config>, plugins: TestGatewayOptions["plugins"]];

/** Turns of the loop while a gateway starts. */
async function turnsOf([config, plugins = []]: Start): Promise<number> {
  let turns = 0;
  const tick = (): void => {
    turns += 1;
    timer = setImmediate(tick);
  };
  let timer = setImmediate(tick);
  await using gateway = await createTestGateway(config, { plugins });
  clearImmediate(timer);
  expect(gateway.runtime.generation.number).toBeGreaterThan(0);
  return turns;
}

const count = 100_000;
const filled = (entries: number, value: (at: number) => string): Table =>
  Object.fromEntries(Array.from({ length: entries }, (_, at) => [`user${at}@ours.test`, value(at)]));

test.for<[what: string, value: (at: number) => string, using: (table: Table) => Start]>([
  [
    "access",
    (at) => `REJECT no ${at}`,
    (table) => [{ policy: { rcpt: [["check_recipient_access", table]] } }, [access]],
  ],
  ["routes", (at) => `smtp:[mx${at}.test]`, (table) => [{ routes: [table] }, []]],
  ["aliases", (at) => `box${at}@ours.test`, (table) => [{}, [[rewrite, { virtualAliases: table }]]]],
])("%s in memory", async ([, value, using]) => {
  const few = await turnsOf(using(filled(1, value)));
  const many = await turnsOf(using(filled(count, value)));
  expect(many - few).toBeGreaterThanOrEqual(count / 2000);
});
