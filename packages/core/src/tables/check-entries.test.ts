// A reload looks at every entry of the tables in memory: sessions go on meanwhile.
import access from "@postern/plugin-access";
import rewrite from "@postern/plugin-rewrite";
import { createTestGateway, type TestGatewayOptions } from "@postern/testkit";
import { expect, test } from "vitest";
import type { Config } from "../config/index.ts";

const count = 20_000;
const filled = (value: (at: number) => string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`user${at}@ours.test`, value(at)]));

test.for<[what: string, config: Partial<Config>, plugins: TestGatewayOptions["plugins"]]>([
  ["access", { policy: { rcpt: [["check_recipient_access", filled((at) => `REJECT no ${at}`)]] } }, [access]],
  ["routes", { routes: [filled((at) => `smtp:[mx${at}.test]`)] }, []],
  ["aliases", {}, [[rewrite, { virtualAliases: filled((at) => `box${at}@ours.test`) }]]],
])("%s in memory", async ([, config, plugins = []]) => {
  let turns = 0;
  const tick = (): void => {
    turns += 1;
    timer = setImmediate(tick);
  };
  let timer = setImmediate(tick);
  await using gateway = await createTestGateway(config, { plugins });
  clearImmediate(timer);
  expect(gateway.runtime.generation.number).toBeGreaterThan(0);
  expect(turns).toBeGreaterThanOrEqual(count / 1000);
});
