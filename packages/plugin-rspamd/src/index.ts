/** Spam filtering with rspamd over HTTP: its actions, its changes to header and body, its signatures, and what teaches it. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { definePlugin, PluginError, reachAtStart, warnOfLargeMessages, type Gateway } from "@postern/core";
import { parseAddress, type Endpoint } from "./address.ts";
import { createClient, type Client } from "./client.ts";
import { learn, type Lessons } from "./learning.ts";
import { options, type Options } from "./options.ts";
import { createRspamd } from "./rspamd.ts";

export default definePlugin({
  name: "rspamd",
  apiVersion: 1,
  options,
  setup(gateway, options) {
    gateway.onReady(() => warnOfLargeMessages(gateway, options.maxSize));
    const addresses = [options.address].flat();
    const client = openClient(gateway, options, addresses);
    const scan = createRspamd(client, options, {
      hostname: gateway.hostname,
      passAll: options.passAll,
      settingsId: options.settingsId,
      mtaTag: options.mtaTag,
      password: options.password?.reveal(gateway.directory),
    });
    const lessons = openLessons(gateway, options);
    gateway.scanner({
      name: gateway.name,
      description: `rspamd at ${addresses.join(", ")}.`,
      scan: lessons === undefined ? scan : async (ask) => (await learn(lessons, ask)) ?? scan(ask),
    });
    gateway.onClose(() => {
      client.close();
      lessons?.client.close();
    });
    reachAtStart(gateway, client.servers);
    if (lessons !== undefined) reachAtStart(gateway, lessons.client.servers);
  },
});

function openLessons(gateway: Gateway, options: Options): Lessons | undefined {
  const { learn: lessons } = options;
  if (lessons === undefined) return undefined;
  return {
    client: openClient(gateway, options, [lessons.controller]),
    password: lessons.password?.reveal(gateway.directory),
    spam: gateway.lists.addresses(lessons.spam, "learn.spam"),
    ham: gateway.lists.addresses(lessons.ham, "learn.ham"),
    dry: gateway.dry,
  };
}

function openClient(gateway: Gateway, options: Options, addresses: readonly string[]): Client {
  return createClient({
    endpoints: addresses.map((address) => endpointOf(gateway, address)),
    connections: options.connections,
    connectTimeoutMs: options.connectTimeout,
    ca: options.ca === undefined ? undefined : readAuthorities(gateway, options.ca),
    clock: gateway.clock,
    failed: (point, error) => gateway.failed(point, error),
  });
}

function endpointOf({ name, directory }: Gateway, address: string): Endpoint {
  const endpoint = parseAddress(address, directory);
  if (endpoint === undefined) throw new PluginError(name, `no address: ${address}`);
  return endpoint;
}

function readAuthorities({ name, directory }: Gateway, file: string): Buffer {
  try {
    return readFileSync(resolve(directory, file));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new PluginError(name, `"ca" ${file} cannot be read (${code ?? "unknown error"})`, { cause: error });
  }
}
