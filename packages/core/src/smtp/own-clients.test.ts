// Our own clients from a table that answers later, or not at all: relaying, limits and trace fields.
import { createTestGateway, smtp } from "@postern/testkit";
import access from "@postern/plugin-access";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { TableUnavailable } from "../errors.ts";
import { definePlugin } from "../plugin/index.ts";

const asked: string[] = [];
const late = definePlugin({
  name: "late",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    gateway.tables.register("late", (name) => ({
      type: "late",
      name,
      kind: "indexed",
      trusted: true,
      close: async () => undefined,
      async lookup(key) {
        asked.push(key);
        if (key === "192.0.2.9") throw new TableUnavailable("late:x", "down");
        return key === "192.0.2.7" || key === "2001:db8::7" ? "ours" : undefined;
      },
    }));
  },
});

describe("networks from a table", () => {
  test.for<[client: string, reply: RegExp, isOurs: boolean]>([
    ["192.0.2.7", /^250 /, true],
    ["::ffff:192.0.2.7", /^250 /, true],
    ["2001:0db8:0::7", /^250 /, true],
    ["192.0.2.8", /^554 5\.7\.1 /, false],
    ["192.0.2.9", /^451 4\.3\.0 /, false],
    // Before the table in the list.
    ["198.51.100.1", /^250 /, true],
    ["198.51.100.66", /^554 5\.7\.1 /, false],
  ])("%s", async ([remoteAddress, reply, isOurs]) => {
    await using gateway = await createTestGateway(
      { networks: ["!198.51.100.66", "198.51.100.0/24", "late:x"], domains: { relay: ["ours.test"] } },
      { plugins: [access, late] },
    );
    const client = smtp(gateway, { remoteAddress });
    await client.say("MAIL FROM:<a@b.test>");
    expect(await client.say("RCPT TO:<any@elsewhere.test>")).toMatch(reply);
    if (!isOurs) return void (await client.hangUp());
    await client.data("Subject: x\n\nx\n").expect(/^250 /);
    const [mail] = await gateway.delivered(1);
    expect(mail?.content.toString()).toMatch(/^Message-ID: /m);
    client.hangUp();
  });

  test("XCLIENT makes another client of it", async () => {
    await using gateway = await createTestGateway(
      {
        networks: "late:x",
        listeners: [{ name: "test", host: "127.0.0.1", port: 25, xclient: ["192.0.2.7"] }],
      },
      { plugins: [access, late] },
    );
    for (const [address, reply] of [
      ["192.0.2.8", /^554 5\.7\.1 /],
      ["192.0.2.9", /^451 4\.3\.0 /],
      ["2001:db8::7", /^250 /],
    ] as const) {
      const client = smtp(gateway, { remoteAddress: "192.0.2.7" });
      await client.say(`XCLIENT ADDR=${address.includes(":") ? "IPV6:" : ""}${address}`).expect(/^220 /);
      await client.say("EHLO other.test");
      await client.say("MAIL FROM:<a@b.test>");
      expect(await client.say("RCPT TO:<any@elsewhere.test>")).toMatch(reply);
      client.hangUp();
    }
  });
});
