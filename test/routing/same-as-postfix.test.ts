// Where a recipient goes: the same as in the real Postfix, for any tables, senders, relayhosts and transports. One Postfix serves a
// resolver for each random world, which is asked over its own socket; a gateway with the same files is asked the same.
import { join } from "node:path";
import { definePlugin, type AddressClass, type Route } from "@postern/core";
import { createTestGateway } from "@postern/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { startPostfix, type PostfixPeer } from "../services/postfix.ts";
import { connectResolver, type Resolved } from "./resolver.ts";
import { randomQuestion, randomWorld, writeWorld } from "./world.ts";

const worldCount = sample(60, 400);
const questionsEach = sample(150, 600);
const shownFailures = 5;

/** RESOLVE_CLASS_* of Postfix's resolve_clnt.h. */
const classFlags: Readonly<Record<number, AddressClass>> = {
  256: "local",
  512: "virtualAlias",
  1024: "virtualMailbox",
  2048: "relay",
  4096: "default",
};

const ownNames: Readonly<Record<string, string>> = { relay: "smtp", local: "maildir", virtual: "maildir" };

/** RESOLVE_FLAG_FAIL: a table could not be asked. */
const failFlag = 8;

const hopsOf = (text: string): string =>
  text
    .toLowerCase()
    .split(/[\s,]+/)
    .join(", ");
const withoutCode = (text: string): string => text.replace(/^[245]\.\d+\.\d+ /, "");

/** The queue manager folds the case of a next-hop; the words of error(8) are as they are. */
function theirRoute({ transport, nextHop, flags }: Resolved): string {
  if ((flags & failFlag) !== 0) throw new Error("a table could not be asked");
  const name = ownNames[transport] ?? transport;
  const hop = ["error", "retry"].includes(name) ? withoutCode(nextHop) : hopsOf(nextHop);
  return `${classFlags[flags & ~31] ?? flags} ${name}:${hop}`;
}

/** Here error and retry are one transport, and the code says which. */
function ourRoute({ class: name, transport, nextHop }: Route, theirs: string): string {
  // Mailboxes of a class without a transport of its own are one destination.
  if (transport === "maildir" && nextHop === "")
    return theirs.startsWith(`${name} maildir:`) ? theirs : `${name} maildir`;
  if (transport !== "error") return `${name} ${transport}:${hopsOf(nextHop)}`;
  return `${name} ${nextHop.startsWith("5") ? "error" : "retry"}:${withoutCode(nextHop)}`;
}

const bystanders = definePlugin({
  name: "bystanders",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    for (const name of ["one", "two", "smtp", "maildir"]) {
      const description = "Is never asked to deliver.";
      gateway.transport({
        name,
        description,
        deliver: async () => ({ destination: "alive" }),
        close: async () => undefined,
      });
    }
  },
});

const random = randomFrom(seed);
const worlds = Array.from({ length: worldCount }, (_, index) => ({ name: `w${index}`, world: randomWorld(random) }));

describeWith(["postfix", "root"], `routes, the same as Postfix (seed ${seed})`, () => {
  const folder = temporaryFolder();
  const written = worlds.map(({ name, world }) => writeWorld(world, folder.path, name));
  let postfix: PostfixPeer;

  beforeAll(async () => {
    const master = worlds.map(({ name }, index) => {
      const options = Object.entries(written[index]?.main ?? {}).filter(([, value]) => value !== undefined);
      return [
        `rewrite-${name} unix - - n - - trivial-rewrite`,
        ...options.map(([key, value]) => `  -o { ${key} = ${value} }`),
      ].join("\n");
    });
    postfix = await startPostfix({ folder: folder.path, master });
  });
  afterAll(async () => {
    await postfix?.stop();
    folder[Symbol.dispose]();
  });

  test(`${worldCount} configs, ${questionsEach} questions each`, { timeout: worldCount * 2000 }, async () => {
    const failures: string[] = [];
    const seen = new Set<string>();
    for (const [index, { name, world }] of worlds.entries()) {
      using resolver = await connectResolver(join(postfix.config, `../queue/private/rewrite-${name}`));
      await using gateway = await createTestGateway(written[index]?.config, {
        memoryTransports: false,
        plugins: [bystanders],
      });
      const generation = gateway.runtime.generation.forDelivery();
      for (let count = 0; count < questionsEach; count += 1) {
        const { sender, address } = randomQuestion(random);
        const theirs = theirRoute(await resolver.resolve(sender, address));
        const ours = ourRoute(await generation.route({ address, original: address }, sender), theirs);
        const kind = theirs.slice(0, theirs.indexOf(":"));
        seen.add(kind);
        if (theirs === ours) continue;
        failures.push(
          `${name}: <${sender}> to <${address}>: Postfix ${theirs}, here ${ours}\n  ${JSON.stringify(world)}`,
        );
        break;
      }
      generation.release();
      if (failures.length >= shownFailures) break;
    }
    expect(failures.join("\n")).toBe("");
    // So that two who know nothing are not the same.
    const kinds = [...seen.keys()];
    for (const name of ["local", "virtualAlias", "virtualMailbox", "relay", "default"]) {
      expect(kinds.filter((kind) => kind.startsWith(`${name} `)).length, name).toBeGreaterThan(0);
    }
    for (const transport of ["smtp", "maildir", "one", "two", "error", "retry", "discard"]) {
      expect(kinds.filter((kind) => kind.endsWith(` ${transport}`)).length, transport).toBeGreaterThan(0);
    }
  });
});
