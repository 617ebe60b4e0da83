/** `@postern/plugin-filter`: content filters behind the queue, commands as transports and scanners, an SMTP proxy before the queue. */
import { accessSync, constants } from "node:fs";
import { resolve } from "node:path";
import { definePlugin, PluginError, smtpHandOver } from "@postern/core";
import { createCommandScanner } from "./command-scanner.ts";
import { createHandover } from "./handover.ts";
import { options } from "./options.ts";
import { createPipeTransport, type PipeCommand } from "./pipe-transport.ts";
import { findIdentity, type Identity } from "./user.ts";

export default definePlugin({
  name: "filter",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    const { name, hostname, directory, clock, recipientDelimiter, log } = gateway;
    const scope = { clock, recipientDelimiter };

    /** Rejects with `PluginError`. */
    function findOwn(what: string, user: string | undefined): Promise<Identity | undefined> {
      const { getuid, getgid } = process;
      const own = getuid === undefined || getgid === undefined ? undefined : { uid: getuid(), gid: getgid() };
      return findIdentity(user, own).catch((error: unknown) => {
        throw new PluginError(name, `${what}: ${error instanceof Error ? error.message : String(error)}`);
      });
    }

    /** Paths from the config's folder; who runs it is found before ready, or where nothing gets ready, before it runs. */
    function prepare<T extends { argv: string[]; directory?: string | undefined; user?: string | undefined }>(
      what: string,
      written: T,
    ) {
      const [file = "", ...words] = written.argv;
      const path = resolve(directory, file);
      let identity: Promise<Identity | undefined> | undefined;
      const find = (): Promise<Identity | undefined> => (identity ??= findOwn(what, written.user));
      // Where it is only checked there need not be what will run it.
      if (!gateway.dry)
        gateway.onReady(async () => {
          try {
            accessSync(path, constants.X_OK);
          } catch {
            log.warn(`${what}: ${path} is not there, or cannot be run`);
          }
          await find();
        });
      return {
        ...written,
        argv: [path, ...words] as [string, ...string[]],
        directory: resolve(directory, written.directory ?? "."),
        identity: find,
      };
    }

    const commands = new Map<string, PipeCommand>();
    for (const [key, command] of Object.entries(given.commands)) {
      commands.set(key, prepare(`commands.${key}`, command));
    }
    if (commands.size > 0) gateway.transport(createPipeTransport(commands, scope));

    for (const [key, command] of Object.entries(given.scanners)) {
      const { onError } = command;
      const prepared = prepare(`scanners.${key}`, command);
      gateway.scanner({
        name: key,
        description: `The command ${prepared.argv[0]}.`,
        // A moment later than its own end, which says more.
        deadlineMs: command.timeLimit + 2_000,
        ...(onError === undefined ? {} : { onError }),
        scan: createCommandScanner(prepared, scope),
      });
    }

    const { contentFilter, proxy } = given;
    const [, filterCommand] = /^pipe:(.*)$/.exec(contentFilter ?? "") ?? [];
    if (filterCommand !== undefined && !commands.has(filterCommand)) {
      throw new PluginError(name, `"contentFilter": there is no command "${filterCommand}" in "commands"`);
    }
    if (contentFilter === undefined && proxy === undefined) return;
    const smtp = proxy === undefined ? undefined : gateway.use(smtpHandOver);
    const failed = (point: string, error: unknown): void => gateway.failed(point, error);
    gateway.handover(createHandover(given, { name, hostname, smtp, failed }));
  },
});
