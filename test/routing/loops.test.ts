// Mail that would come back to the gateway itself: found at the first attempt, or refused before it is taken.
import { expect, test } from "vitest";
import { hand } from "../e2e/dialogue.ts";
import { startGateway } from "../e2e/gateway.ts";
import { until } from "../e2e/until.ts";
import { freePort } from "../services/ports.ts";

test("a next-hop that is our own listener bounces, as a relayhost it waits; to our own address nothing is taken", async () => {
  const port = await freePort();
  await using gateway = await startGateway({
    port,
    config: {
      domains: { relay: ["routed.test", "relayed.test", "sent.test", "[127.0.0.1]"] },
      policy: { relay: [] },
      plugins: [["@postern/plugin-transport-smtp", { tls: "none" }]],
      relayhost: `[127.0.0.1]:${port}`,
      routes: { "routed.test": `smtp:[127.0.0.2]:${await freePort()}, [0.0.0.0]:${port}`, "[127.0.0.1]": "smtp:" },
      senderRelayhosts: { "ann@a.test": `[0.0.0.0]:${port}` },
      queue: { directory: "./queue" },
    },
  });
  const taken = [
    ["x@routed.test", "bob@a.test"],
    ["x@relayed.test", "bob@a.test"],
    ["x@sent.test", "ann@a.test"],
  ] as const;
  for (const [to, from] of taken) expect(await hand(port, { from, to })).toMatch(/^250 /);
  expect(await hand(port, { from: "", to: "x@[127.0.0.1]" })).toMatch(/^550 5\.4\.6 .*loops back to myself/);

  const fate = (to: string) =>
    new RegExp(`to=<${to}>,.* dsn=(\\S+), status=(\\w+) \\((.*)\\)`).exec(gateway.log())?.slice(1);
  await until(() => taken.every(([to]) => fate(to) !== undefined));
  // The first of its two next-hops is only dead, so that the mail waits for it.
  expect(fate("x@routed.test")).toEqual(["4.4.1", "deferred", expect.stringMatching(/Connection refused/)]);
  expect(fate("x@relayed.test")).toEqual(["4.3.5", "deferred", "mail for 127.0.0.1 loops back to myself"]);
  expect(fate("x@sent.test")?.slice(0, 2)).toEqual(["5.4.6", "bounced"]);
});
