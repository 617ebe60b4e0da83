// A whole gateway in memory in front of scripted milters on real sockets; all is closed after each test.
import { createTestGateway, smtp, type Dialogue, type TestGateway } from "@postern/testkit";
import { afterEach } from "vitest";
import plugin from "../index.ts";
import { startScriptedMilter, type ScriptedMilter, type ScriptedOptions } from "./scripted-milter.fixture.ts";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

export type Given = Readonly<Record<string, unknown>>;
export const config = { domains: { relay: ["example.test"] }, networks: ["127.0.0.0/8"] };

export interface World {
  readonly gateway: TestGateway;
  readonly milters: readonly ScriptedMilter[];
}

export async function start(
  scripts: readonly (ScriptedOptions & { readonly given?: Given })[],
  more: Given = {},
  limits: Given = {},
): Promise<World> {
  const milters = await Promise.all(scripts.map((script) => startScriptedMilter(script)));
  open.push(...milters);
  const entries = milters.map(({ address }, at) => ({
    address,
    name: `m${at}`,
    onError: "defer",
    ...scripts[at]?.given,
  }));
  const gateway = await createTestGateway(
    { ...config, ...limits },
    { plugins: [[plugin, { milters: entries, ...more }]] },
  );
  open.push(gateway);
  return { gateway, milters };
}

/** The milter alone. */
export async function startOne(
  script: ScriptedOptions & { readonly given?: Given } = {},
  more: Given = {},
  limits: Given = {},
) {
  const { gateway, milters } = await start([script], more, limits);
  return { gateway, milter: milters[0] as ScriptedMilter };
}

export const mail = "From: a@example.net\r\nTo: b@example.test\r\nSubject: one\r\n two\r\n\r\nHello.\r\n";
export const deliver = (gateway: TestGateway, message = mail): Dialogue =>
  smtp(gateway)
    .say("MAIL FROM:<a@example.net>")
    .expect(/^250/)
    .say("RCPT TO:<b@example.test>")
    .expect(/^250/)
    .data(message);

/** Without our own Received. */
export const text = (content: Buffer | undefined) =>
  content?.toString("latin1").replace(/^Received: (?:.|\r\n[ \t])*\r\n/, "");
