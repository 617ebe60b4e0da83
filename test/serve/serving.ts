// `postern serve milter` as a process of its own, and a Postfix that asks it.
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { command, repository } from "../e2e/gateway.ts";
import { talk, type Client } from "../e2e/client.ts";
import {
  freePort,
  startPostfix,
  startService,
  type MainSettings,
  type PostfixPeer,
  type Service,
} from "../services/index.ts";

export interface Serving extends Service {
  readonly port: number;
  /** As a Postfix writes it. */
  readonly address: string;
}

export interface ServingOptions {
  /** Its log, plugins and state are here. */
  readonly folder: string;
  readonly args?: readonly string[];
  /** The source of a plugin beside. */
  readonly plugin?: string;
  /** Again where it was. */
  readonly port?: number;
}

let starts = 0;

export async function startServing({ folder, args = [], port: given, plugin }: ServingOptions): Promise<Serving> {
  const port = given ?? (await freePort());
  if (plugin !== undefined) writeFileSync(join(folder, "plugin.ts"), plugin, { mode: 0o600 });
  // Plugins resolve from the current folder, as in a project where they are installed.
  const modules = join(folder, "node_modules");
  if (!existsSync(modules)) symlinkSync(join(repository, "node_modules"), modules);
  const logFile = join(folder, `serve-${(starts += 1)}.log`);
  const service = await startService(
    process.execPath,
    [
      "--conditions=@postern/source",
      command,
      "serve",
      "milter",
      "--listen",
      `inet:${port}@127.0.0.1`,
      "--state",
      "state",
      ...(plugin === undefined ? [] : ["--plugin", "./plugin.ts"]),
      ...args,
    ],
    {
      logFile,
      cwd: folder,
      ready: () =>
        readFileSync(logFile, "utf8").includes(`:${port}`) ? Promise.resolve() : Promise.reject(new Error("not ready")),
    },
  );
  return { ...service, port, address: `inet:127.0.0.1:${port}` };
}

/** One Postfix, with a listener for each of the milters. */
export interface Asking<Name extends string> extends PostfixPeer {
  readonly ports: Readonly<Record<Name, number>>;
}

/** By name: the milter, and more settings of its listener. Everybody exists in the domains that are given. */
export async function startAsking<Name extends string>(
  folder: string,
  domains: readonly string[],
  milters: Readonly<Record<Name, readonly [milter: string, settings?: MainSettings]>>,
): Promise<Asking<Name>> {
  const ports: Record<string, number> = {};
  const master: string[] = [];
  for (const [name, [milter, settings]] of Object.entries<readonly [string, MainSettings?]>(milters)) {
    const port = (ports[name] = await freePort());
    const all = { smtpd_milters: milter, ...settings };
    const options = Object.entries(all).map(([key, value]) => `-o ${key}=${value}`);
    master.push(`127.0.0.1:${port} inet n - n - - smtpd ${options.join(" ")}`);
  }
  const postfix = await startPostfix({
    folder,
    mailboxes: domains.map((domain) => `@${domain}`),
    main: {
      smtpd_authorized_xclient_hosts: "127.0.0.0/8",
      // Tests wait for nothing.
      smtpd_error_sleep_time: "0",
    },
    master,
  });
  return { ...postfix, ports: ports as Record<Name, number> };
}

/** A session in Postfix as a stranger. */
export async function introduce(port: number, helo = "mx.client.test"): Promise<Client> {
  const client = talk(connect(port, "127.0.0.1"));
  await client.reply();
  await client.say("XCLIENT NAME=mx.client.test ADDR=192.0.2.7");
  await client.say(`EHLO ${helo}`);
  return client;
}

export interface Sent {
  readonly sender?: string;
  /** In brackets with parameters behind them, or alone. */
  readonly recipients?: readonly string[];
  readonly content?: string;
}

/** The reply that decided. */
export async function send(
  port: number,
  { sender = "from@client.test", recipients = ["alice@example.test"], content }: Sent = {},
): Promise<string> {
  const client = await introduce(port);
  try {
    const mail = await client.say(`MAIL FROM:<${sender}>`);
    if (!mail.startsWith("2")) return mail;
    for (const recipient of recipients) {
      const reply = await client.say(`RCPT TO:${recipient.startsWith("<") ? recipient : `<${recipient}>`}`);
      if (!reply.startsWith("2")) return reply;
    }
    return await client.data(content);
  } finally {
    client.hangUp();
  }
}
