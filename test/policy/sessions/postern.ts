// The same policy as a config of Postern, in a gateway without ports, with the real plugins and the real resolver.
import { createResolver, stages, type Config } from "@postern/core";
import access from "@postern/plugin-access";
import mapsFile from "@postern/plugin-maps-file";
import rewrite from "@postern/plugin-rewrite";
import { createTestGateway, openPlugin, type TestGateway } from "@postern/testkit";
import { listedUsers, networks, ownDomains } from "./names.ts";
import type { SessionPolicy } from "./policy.ts";
import type { Vocabulary } from "./words.ts";

export function configOf(policy: SessionPolicy): Partial<Config> {
  const listed = (domain: string) => Object.fromEntries(listedUsers.map((user) => [`${user}@${domain}`, "x"]));
  const { local, relay, box, alias } = ownDomains;
  return {
    hostname: "mx.example.test",
    networks: [...networks],
    domains: {
      local: { domains: [local], recipients: listed(local) },
      relay: { domains: [relay], recipients: listed(relay) },
      virtualMailbox: { domains: [box], recipients: listed(box) },
      virtualAlias: [alias],
    },
    recipientDelimiter: "+",
    listeners: [{ name: "test", host: "127.0.0.1", port: 25, xclient: ["127.0.0.1"] }],
    policy: {
      ...Object.fromEntries(Object.entries(policy.lists).map(([stage, text]) => [stage, [text]])),
      classes: Object.fromEntries(Object.entries(policy.classes).map(([name, text]) => [name, [text]])),
      delayReject: policy.delayReject,
    },
    limits: { errors: 10_000, junkCommands: 10_000 },
  };
}

export function startOwn(policy: SessionPolicy, nameServer: string): Promise<TestGateway> {
  const { alias } = ownDomains;
  const aliases = Object.fromEntries(listedUsers.map((user) => [`${user}@${alias}`, "x"]));
  return createTestGateway(configOf(policy), {
    dns: createResolver({ servers: [nameServer], timeoutMs: 2_000 }),
    plugins: [access, mapsFile, [rewrite, { virtual: aliases }]],
  });
}

/** Which words there are, and where each may stand. */
export async function readVocabulary(): Promise<Vocabulary> {
  const { restrictions } = await openPlugin(access);
  const language = ["defer_if_permit", "defer_if_reject"].map((name) => [name, stages] as const);
  return new Map([...language, ...[...restrictions].map(([name, word]) => [name, word.stages] as const)]);
}
