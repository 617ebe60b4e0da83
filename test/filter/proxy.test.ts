// The SMTP proxy before the queue and the content filter behind it, against scripted servers: who has the message afterwards, what the
// client was told, and what stands when the filter is gone. Never both, never nobody.
// oxlint-disable import/default -- the linter does not know the export condition of the sources
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { definePlugin } from "@postern/core";
import filter from "@postern/plugin-filter";
import transport from "@postern/plugin-transport-smtp";
import {
  createSink,
  createTestGateway,
  type Sink,
  type SinkPoint,
  type SinkScript,
  type TestGateway,
} from "@postern/testkit";
import { z } from "zod";
import { afterEach, describe, expect, test } from "vitest";
import { talk } from "../e2e/client.ts";
import { command, repository } from "../e2e/gateway.ts";
import { run } from "../e2e/run.ts";
import { until } from "../e2e/until.ts";
import { freePort, temporaryFolder } from "../services/index.ts";
import { undisturbed } from "../undisturbed.ts";

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of cleanUp.splice(0).toReversed()) await close();
});

interface World {
  readonly gateway: TestGateway;
  /** The proxy or content filter. */
  readonly filter: Sink;
  /** Where queued mail goes. */
  readonly next: Sink;
}

async function startWorld(
  given: (filter: Sink) => object,
  script?: SinkScript,
  { extensions, config = {} }: { extensions?: readonly string[]; config?: object } = {},
): Promise<World> {
  const proxy = await createSink({
    ...(script === undefined ? {} : { script }),
    ...(extensions === undefined ? {} : { extensions }),
  });
  const next = await createSink();
  const gateway = await createTestGateway(
    {
      networks: ["192.0.2.0/24"],
      domains: { relay: ["example.test", "one.test", "two.test"] },
      relayhost: next.nextHop,
      listeners: [
        { name: "in", host: "127.0.0.1", port: 25 },
        { name: "back", host: "127.0.0.1", port: 10_026 },
      ],
      ...config,
    },
    { memoryTransports: false, plugins: [transport, [filter, given(proxy) as Readonly<Record<string, unknown>>]] },
  );
  cleanUp.push(
    () => proxy.close(),
    () => next.close(),
    () => gateway.close(),
  );
  return { gateway, filter: proxy, next };
}

const proxyTo = (sink: { readonly port: number }, more: object = {}) => ({
  proxy: { address: `127.0.0.1:${sink.port}`, ...more },
});

async function send(
  { gateway }: World,
  { listener = "in", to = ["a@example.test"], content = "Subject: x\r\n\r\nbody\r\n.dot\r\n" } = {},
): Promise<string> {
  const client = talk(gateway.connect({ remoteAddress: "192.0.2.7", listener }));
  await client.reply();
  expect(await client.say("EHLO client.source.test")).toMatch(/^250/);
  expect(await client.say("MAIL FROM:<sender@source.test>")).toMatch(/^250/);
  for (const recipient of to) expect(await client.say(`RCPT TO:<${recipient}>`)).toMatch(/^250/);
  const reply = await client.data(content.replaceAll("\r\n.", "\r\n.."));
  client.hangUp();
  return reply;
}

/** Nothing of ours is in the queue or went to the next hop. */
async function queuedNothing({ gateway, next }: World): Promise<void> {
  expect(gateway.events.filter(({ kind }) => kind === "received")).toEqual([]);
  expect(next.transactions).toEqual([]);
}

describe("a proxy before the queue", () => {
  test("takes the message with all of its envelope; its reply is ours, and nothing is queued", async () => {
    const world = await startWorld(
      proxyTo,
      ({ point }) =>
        point === "MESSAGE" ? "250 2.6.0 Taken as 42" : point === "XFORWARD" ? "250 2.0.0 Ok" : undefined,
      {
        extensions: ["PIPELINING", "8BITMIME", "SIZE 100000", "XFORWARD NAME ADDR PROTO HELO SOURCE PORT"],
      },
    );
    const said = await send(world, { to: ["a@example.test", "b@example.test"] });
    expect(said).toBe("250 2.6.0 Taken as 42");
    const [taken] = world.filter.transactions;
    expect(taken?.rcpt).toEqual(["RCPT TO:<a@example.test>", "RCPT TO:<b@example.test>"]);
    expect(taken?.content.toString()).toMatch(/^Received: from client\.source\.test .*\r\n\r\nbody\r\n\.dot\r\n$/s);
    expect(world.filter.commands.find((line) => line.startsWith("XFORWARD"))).toMatch(
      /^XFORWARD NAME=\[UNAVAILABLE\] ADDR=192\.0\.2\.7 PORT=\S+ PROTO=ESMTP HELO=client\.source\.test SOURCE=LOCAL$/,
    );
    expect(world.gateway.log.join("\n")).toContain("proxy-accept: END-OF-MESSAGE");
    await queuedNothing(world);
  });

  test("large messages stream, and the same client sends several", async () => {
    const world = await startWorld(proxyTo);
    const content = `Subject: big\r\n\r\n${`${"x".repeat(76)}\r\n`.repeat(60_000)}`;
    expect(await send(world, { content })).toMatch(/^250 /);
    expect(world.filter.transactions[0]?.content.length).toBeGreaterThan(content.length);
    for (let count = 0; count < 3; count += 1) expect(await send(world)).toMatch(/^250 /);
    expect(world.filter.transactions).toHaveLength(4);
    await queuedNothing(world);
  });

  const at =
    (wanted: SinkPoint, answer: string, which = 1): SinkScript =>
    ({ point, transaction }) =>
      point === wanted && (wanted !== "RCPT" || transaction.rcpt.length === which - 1) ? answer : undefined;

  test.each<[script: SinkScript, expected: string]>([
    [at("MESSAGE", "550 5.7.1 Spam"), "550 5.7.1 Spam"],
    [at("MESSAGE", "451 4.7.1 Later"), "451 4.7.1 Later"],
    [at("MESSAGE", "554 No code"), "554 No code"],
    [at("MESSAGE", "421 4.3.2 Going down"), "451 4.3.2 Going down"],
    [at("MAIL", "550 5.1.8 Bad sender"), "550 5.1.8 Bad sender"],
    [at("RCPT", "550 5.1.1 No such user"), "550 5.1.1 No such user"],
    [at("RCPT", "550 5.1.1 No such user", 2), "550 5.1.1 No such user"],
    [at("RCPT", "450 4.2.1 Not now", 2), "450 4.2.1 Not now"],
    [at("DATA", "554 5.5.1 No valid recipients"), "554 5.5.1 No valid recipients"],
    // Answers that are none.
    [at("MESSAGE", "354 What?"), "451 4.3.0 Content filter unavailable, try again later"],
    [at("CONNECT", "554 5.3.2 No"), "451 4.3.0 Content filter unavailable, try again later"],
    [at("CONNECT", "hello"), "451 4.3.0 Content filter unavailable, try again later"],
  ])("a proxy that does not take it: %#, %s", async (script, expected) => {
    const world = await startWorld(proxyTo, script);
    expect(await send(world, { to: ["a@example.test", "b@example.test"] })).toBe(expected);
    expect(world.filter.transactions).toEqual([]);
    await queuedNothing(world);
  });

  const gone = "451 4.3.0 Content filter unavailable, try again later";
  const lost =
    (then: "reset" | "hang") =>
    (point: string): SinkScript =>
    (event) =>
      // oxlint-disable-next-line unicorn/no-thenable -- the script's own word
      event.point === point ? { then } : undefined;
  const [cut, hang] = [lost("reset"), lost("hang")];
  const timeouts = { connect: "1s", command: "100ms", end: "100ms" };

  // Up to the final dot the config decides; after it the message may have been taken, and only the client may bring it again.
  test.each<[what: string, script: SinkScript, inDoubt: boolean]>([
    ["closes at once", cut("CONNECT"), false],
    ["closes after EHLO", cut("EHLO"), false],
    ["closes after MAIL", cut("MAIL"), false],
    ["closes after RCPT", cut("RCPT"), false],
    ["closes after DATA", cut("DATA"), false],
    ["says nothing", hang("CONNECT"), false],
    ["says nothing to MAIL", hang("MAIL"), false],
    ["closes after the dot", cut("MESSAGE"), true],
    ["says nothing to the dot", hang("MESSAGE"), true],
  ])("a proxy that %s", async (_, script, inDoubt) => {
    for (const [onError, expected] of [
      ["defer", gone],
      ["reject", inDoubt ? gone : "554 5.3.0 Content filter unavailable"],
      ["skip", inDoubt ? gone : "250 2.0.0 Ok: queued as"],
    ] as const) {
      await undisturbed(async () => {
        const world = await startWorld((sink) => proxyTo(sink, { onError, timeouts }), script);
        expect(await send(world), onError).toContain(expected);
        if (expected.startsWith("250")) await world.next.received(1);
        else await queuedNothing(world);
        expect(world.gateway.log.join("\n")).toMatch(/proxy/);
      });
    }
  });

  test("nobody listens there", async () => {
    const port = await freePort();
    const world = await startWorld(() => proxyTo({ port }, { timeouts }));
    expect(await send(world)).toBe(gone);
    await queuedNothing(world);
  });

  test("a client that leaves before the dot went on has sent nothing; one that leaves later has", async () => {
    for (const point of ["RCPT", "MESSAGE"]) {
      const release = Promise.withResolvers<undefined>();
      const asked = Promise.withResolvers<void>();
      const world = await startWorld(proxyTo, (event) => {
        if (event.point !== point) return undefined;
        asked.resolve();
        return release.promise;
      });
      const client = talk(world.gateway.connect({ remoteAddress: "192.0.2.7", listener: "in" }));
      await client.reply();
      for (const line of ["EHLO a.test", "MAIL FROM:<a@b.test>", "RCPT TO:<c@example.test>"]) {
        expect(await client.say(line)).toMatch(/^250/);
      }
      void Promise.resolve(client.data("Subject: x\r\n\r\n")).catch(() => undefined);
      await asked.promise;
      client.hangUp();
      await until(() => world.gateway.events.some(({ kind }) => kind === "disconnected"));
      release.resolve(undefined);
      if (point === "MESSAGE") await until(() => world.gateway.events.some(({ kind }) => kind === "handedOver"));
      else await until(() => world.filter.open === 0);
      expect(world.filter.transactions).toHaveLength(point === "MESSAGE" ? 1 : 0);
      await queuedNothing(world);
    }
  });

  test("200 sessions at once on few connections: each hears its own answer, and what was taken was taken once", async () => {
    let most = 0;
    let proxy: Sink | undefined;
    const world = await startWorld(
      (sink) => {
        proxy = sink;
        return proxyTo(sink, { connections: 5 });
      },
      ({ point, transaction }) => {
        most = Math.max(most, proxy?.open ?? 0);
        if (point !== "MESSAGE") return undefined;
        const number = Number(/number (\d+)/.exec(transaction.content.toString())?.[1]);
        return number % 3 === 0 ? `550 5.7.1 no to ${number}` : `250 2.0.0 taken ${number}`;
      },
    );
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, number) => send(world, { content: `Subject: number ${number}\r\n\r\n` })),
    );
    expect(answers).toEqual(
      answers.map((_, number) => (number % 3 === 0 ? `550 5.7.1 no to ${number}` : `250 2.0.0 taken ${number}`)),
    );
    expect(world.filter.transactions).toHaveLength(answers.filter((said) => said.startsWith("250")).length);
    // A connection that has said QUIT may still be open.
    expect(most).toBeLessThanOrEqual(10);
    await queuedNothing(world);
  });

  test("only mail of its listeners; what is held or filtered by the policy is queued", async () => {
    const policy = {
      rcpt: [
        [
          "check_recipient_access",
          {
            "held@example.test": "HOLD",
            "other@example.test": "FILTER smtp:[127.0.0.1]:1",
            "gone@example.test": "DISCARD",
          },
        ],
      ],
    };
    const { default: access } = await import("@postern/plugin-access");
    const proxy = await createSink();
    const next = await createSink();
    const gateway = await createTestGateway(
      {
        networks: ["192.0.2.0/24"],
        domains: { relay: ["example.test"] },
        relayhost: next.nextHop,
        listeners: [
          { name: "in", host: "127.0.0.1", port: 25 },
          { name: "back", host: "127.0.0.1", port: 10_026 },
        ],
        policy: policy as never,
      },
      {
        memoryTransports: false,
        plugins: [access, transport, [filter, { ...proxyTo(proxy), except: ["back"] }]],
      },
    );
    cleanUp.push(
      () => proxy.close(),
      () => next.close(),
      () => gateway.close(),
    );
    const world = { gateway, filter: proxy, next };
    expect(await send(world, { listener: "back" })).toMatch(/^250 2\.0\.0 Ok: queued/);
    await next.received(1);
    for (const to of ["held@example.test", "other@example.test", "gone@example.test"]) {
      expect(await send(world, { to: [to] })).toMatch(/^250 2\.0\.0 Ok: queued/);
    }
    expect(proxy.transactions).toEqual([]);
    expect(gateway.events.filter(({ kind }) => kind === "received")).toHaveLength(3);
    expect(await send(world)).not.toContain("queued as");
    expect(proxy.transactions).toHaveLength(1);
  });
});

test("who wants the message queued after the client has left does not get it queued", async () => {
  const release = Promise.withResolvers<undefined>();
  const asked = Promise.withResolvers<AbortSignal>();
  const slow = definePlugin({
    name: "slow",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      gateway.handover({
        name: "slow",
        description: "",
        take({ signal }) {
          asked.resolve(signal);
          return release.promise;
        },
      });
    },
  });
  const gateway = await createTestGateway({ domains: { relay: ["example.test"] } }, { plugins: [slow] });
  cleanUp.push(() => gateway.close());
  const client = talk(gateway.connect());
  await client.reply();
  for (const line of ["EHLO a.test", "MAIL FROM:<a@b.test>", "RCPT TO:<c@example.test>"]) await client.say(line);
  void client.data("Subject: x\r\n\r\n").catch(() => undefined);
  const signal = await asked.promise;
  client.hangUp();
  await until(() => signal.aborted);
  release.resolve(undefined);
  await until(() => gateway.events.some(({ kind }) => kind === "disconnected"));
  await new Promise((resolve) => setImmediate(resolve));
  expect(gateway.events.filter(({ kind }) => kind === "received")).toEqual([]);
  expect(gateway.deliveries).toEqual([]);
});

test("explaining a message gives it to nobody", async () => {
  const proxy = await createSink();
  cleanUp.push(() => proxy.close());
  const folder = temporaryFolder();
  cleanUp.push(async () => folder[Symbol.dispose]());
  symlinkSync(join(repository, "node_modules"), join(folder.path, "node_modules"));
  const explain = async (given: object, ...more: readonly string[]): Promise<string> => {
    const config = {
      hostname: "mx.example.test",
      listeners: [{ name: "in", host: "127.0.0.1", port: 2525 }],
      queue: { directory: "./queue" },
      domains: { relay: ["example.test"] },
      relayhost: "[127.0.0.1]:1",
      plugins: ["@postern/plugin-access", "@postern/plugin-transport-smtp", ["@postern/plugin-filter", given]],
    };
    writeFileSync(join(folder.path, "postern.config.json"), JSON.stringify(config), { mode: 0o600 });
    writeFileSync(join(folder.path, "mail"), "Subject: x\r\n\r\nbody\r\n");
    const args = [
      "--client",
      "192.0.2.1",
      "--from",
      "a@b.test",
      "--to",
      "c@example.test",
      "--message",
      "mail",
      ...more,
    ];
    const { stdout, stderr } = await run(
      process.execPath,
      ["--conditions=@postern/source", command, "explain", ...args],
      { cwd: folder.path },
    );
    return stdout + stderr;
  };
  expect(await explain(proxyTo(proxy))).toContain(`handed over: if the proxy 127.0.0.1:${proxy.port} takes it`);
  expect(await explain({ contentFilter: `smtp:${proxy.nextHop}` })).toContain(`smtp:${proxy.nextHop}`);
  expect(proxy.sessions).toBe(0);
  if (process.getuid?.() !== 0) return;
  // Nor does asking a command make it root's.
  const scanners = {
    who: { argv: ["/bin/sh", "-c", "echo runs as $$(id -un); exit 69"], user: "nobody", directory: "/" },
  };
  expect(await explain({ onError: "defer", scanners }, "--live")).toContain("runs as nobody");
});

describe("a content filter behind the queue", () => {
  const filterBy = (sink: Sink) => ({ contentFilter: `smtp:${sink.nextHop}`, except: ["back"] });

  test("every message leaves by it, all recipients together, and comes back past it", async () => {
    const world = await startWorld(filterBy);
    expect(await send(world, { to: ["a@one.test", "b@two.test"] })).toMatch(/^250 2\.0\.0 Ok: queued/);
    const [filtered] = await world.filter.received(1);
    expect(filtered?.rcpt).toHaveLength(2);
    expect(world.next.transactions).toEqual([]);
    expect(await send(world, { listener: "back", to: ["a@one.test"] })).toMatch(/^250 /);
    await world.next.received(1);
    expect(world.filter.transactions).toHaveLength(1);
  });

  test("a filter that is gone keeps the mail in the queue", async () => {
    const world = await startWorld(filterBy, ({ point }) => (point === "MAIL" ? "451 4.3.0 Later" : undefined));
    expect(await send(world)).toMatch(/^250 /);
    await until(() => world.gateway.log.some((line) => line.includes("status=deferred")));
    expect(world.next.transactions).toEqual([]);
  });

  test("mistakes are found before any mail", async () => {
    const start = (given: object, plugins = [transport]) =>
      createTestGateway({}, { memoryTransports: false, plugins: [...plugins, [filter, given as never]] }).then(
        (gateway) => gateway.close().then(() => "started"),
        (error: unknown) => (error as Error).message,
      );
    expect(await start({ contentFilter: "pipe:nothing" })).toContain('there is no command "nothing"');
    expect(await start({ contentFilter: "nowhere:x" })).toContain("nowhere");
    expect(await start({ proxy: { address: "127.0.0.1:1", listeners: ["tset"] } })).toContain(
      'there is no listener "tset", there is test',
    );
    expect(await start({ contentFilter: "smtp:[127.0.0.1]:1", except: ["back"] })).toContain("no listener");
    expect(await start({ proxy: { address: "127.0.0.1:1" } }, [])).toContain('provides the service "smtp-hand-over"');
    expect(await start({ commands: { a: { argv: ["relative"] } } })).toContain("expected a path such as");
    expect(await start({ commands: { a: { argv: ["/bin/cat", "${nothing}"] } } })).toContain("there is no ${nothing}");
    const shell = ["/bin/bash", "-c", "filter ${sender}"];
    expect(await start({ commands: { a: { argv: shell } } })).toContain("would run what strangers write");
    expect(await start({ commands: { a: { argv: ["/bin/cat"], flags: "Z" } } })).toContain("expected letters of");
    expect(await start({ scanners: { a: { argv: ["/bin/cat"], user: "nobody" } } })).toContain('"onError" is missing');
  });
});
