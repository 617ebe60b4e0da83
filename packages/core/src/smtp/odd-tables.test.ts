// Whatever a table does instead of answering, at whatever place it is asked: mail is put off, never refused for good, never let through.
import access from "@postern/plugin-access";
import rewrite from "@postern/plugin-rewrite";
import { createTestGateway, smtp, type TestGatewayOptions } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { Config } from "../config/index.ts";
import { TableUnavailable } from "../errors.ts";
import { definePlugin } from "../plugin/index.ts";

const answers: Readonly<Record<string, () => unknown>> = {
  throws: () => {
    throw new TableUnavailable("odd:x", "secret.example is down");
  },
  rejects: () => Promise.reject(new TableUnavailable("odd:x", "secret.example is down")),
  "rejects-otherwise": () => Promise.reject(new Error("secret")),
  "rejects-with-nothing": () => Promise.reject(null),
  empty: () => "",
  "empty-late": async () => "",
  "null-late": async () => null,
  object: () => ({}),
  "then-throws": () => ({
    // oxlint-disable-next-line unicorn/no-thenable
    then() {
      throw new Error("secret");
    },
  }),
  huge: () => "x".repeat(200_000),
};

const odd = definePlugin({
  name: "odd",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    gateway.tables.register("odd", (name) => ({
      type: "odd",
      name,
      kind: "indexed",
      trusted: true,
      close: async () => undefined,
      lookup: () => answers[name]?.() as string | undefined,
    }));
  },
});

const relay = ["ours.test"];
interface Place {
  readonly config: (table: string) => Partial<Config>;
  /** For a stranger's mail to elsewhere, where the table has a say in it; 554 where it has none. */
  readonly elsewhere: 451 | 554;
}

const places: Readonly<Record<string, Place>> = {
  "domains.local": { config: (table) => ({ domains: { local: table } }), elsewhere: 451 },
  "domains.relay": { config: (table) => ({ domains: { relay: table } }), elsewhere: 451 },
  "domains.virtualAlias": { config: (table) => ({ domains: { virtualAlias: table } }), elsewhere: 451 },
  "domains.virtualMailbox": { config: (table) => ({ domains: { virtualMailbox: table } }), elsewhere: 451 },
  "not in a table": { config: (table) => ({ domains: { relay: [`!${table}`, "ours.test"] } }), elsewhere: 451 },
  networks: { config: (table) => ({ domains: { relay }, networks: table }), elsewhere: 451 },
  "networks, not in a table": {
    config: (table) => ({ domains: { relay }, networks: [`!${table}`, "0.0.0.0/0"] }),
    elsewhere: 451,
  },
  recipients: { config: (table) => ({ domains: { relay: { domains: relay, recipients: table } } }), elsewhere: 554 },
  routes: { config: (table) => ({ domains: { relay }, routes: [table] }), elsewhere: 554 },
  "the client, in relay": {
    config: (table) => ({
      domains: { relay },
      policy: { relay: [`check_client_access ${table}`, "reject_unauth_destination"] },
    }),
    elsewhere: 451,
  },
  "the sender": {
    config: (table) => ({ domains: { relay }, policy: { mail: [`check_sender_access ${table}`] } }),
    elsewhere: 451,
  },
  "the recipient": {
    config: (table) => ({ domains: { relay }, policy: { rcpt: [`check_recipient_access ${table}`] } }),
    elsewhere: 554,
  },
};

const start = (config: Partial<Config>, plugins: NonNullable<TestGatewayOptions["plugins"]> = []) =>
  createTestGateway(config, { plugins: [access, odd, ...plugins] });
const stranger = { remoteAddress: "203.0.113.9" };

describe.for(Object.keys(answers))("a table that answers: %s", (answer) => {
  test.for(Object.entries(places))("%s", async ([, { config, elsewhere }]) => {
    await using gateway = await start(config(`odd:${answer}`));
    const client = smtp(gateway, stranger);
    await client.say("MAIL FROM:<a@b.test>");
    expect(await client.say("RCPT TO:<x@ours.test>")).toMatch(/^451 4\.3\.0 (?!.*secret)/);
    expect(await client.say("RCPT TO:<x@elsewhere.test>")).toMatch(new RegExp(`^${elsewhere} (?!.*secret)`));
    client.hangUp();
  });

  test("aliases", async () => {
    await using gateway = await start({ domains: { relay } }, [[rewrite, { virtual: `odd:${answer}` }]]);
    const client = smtp(gateway, stranger);
    await client.say("MAIL FROM:<a@b.test>");
    await client.say("RCPT TO:<x@ours.test>").expect(/^250 /);
    expect(await client.data("Subject: x\n\nx\n")).toMatch(/^451 4\.3\.0 (?!.*secret)/);
    expect(gateway.runtime.status().queue.messages).toBe(0);
    client.hangUp();
  });
});
