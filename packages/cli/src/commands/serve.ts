/** `postern serve milter`: plugins as a milter of another mail server, until a signal ends it. */
import { createConversations } from "@postern/core";
import { UsageError } from "../failure.ts";
import { ownFolder } from "../inspection.ts";
import { createMailLog } from "../mail-log.ts";
import { loadMilterPackage } from "../milter-package.ts";
import { namingFile } from "../naming-file.ts";
import type { Output } from "../output.ts";
import { composeServe, type Served, type ServeSources } from "../serve-config.ts";
import { onStop } from "../signals.ts";
import { version } from "../version.ts";

export interface ServeMilterOptions extends ServeSources {
  readonly listen?: readonly string[];
  readonly mode?: string;
  readonly json?: boolean;
}

export async function serveMilter(options: ServeMilterOptions, cwd: string, output: Output): Promise<void> {
  const { listen = [], json = false } = options;
  if (listen.length === 0) {
    throw new UsageError("say where to listen: --listen inet:8899@127.0.0.1, or --listen unix:/path");
  }
  const mode = modeOf(options.mode);
  const served = await composeServe(options, cwd);
  const milter = await loadMilterPackage([served.config.directory, cwd, ownFolder]);
  const addresses = listen.map((text) => {
    const address = milter.parseListenAddress(text, cwd);
    if (address === undefined) throw new UsageError(`--listen ${text}: expected ${milter.expectedAddress}`);
    return address;
  });
  const stopping = onStop();
  const log = createMailLog(json, (text) => output.warn(text));
  // Timers of ours keep no process alive.
  const alive = setInterval(() => undefined, 60_000);
  await using closers = new AsyncDisposableStack();
  closers.defer(() => {
    clearInterval(alive);
    log.close();
    stopping.release();
  });
  const { config, file } = served;
  const conversations = await namingFile(file, () =>
    createConversations(config, { searchFrom: [cwd, ownFolder], log: log.add }),
  );
  closers.defer(() => conversations.close());
  const server = await milter.createMilterServer({
    conversations,
    addresses,
    ...(mode !== undefined && { mode }),
    warn: (text) => log.add("warn", text),
  });
  closers.defer(() => server.close());
  const listening = server.listening.map(({ address }) => address);
  output.write(
    json ? `${JSON.stringify({ event: "ready", listening, ...facts(served) })}\n` : readyText(listening, served),
  );
  await stopping.asked;
}

function modeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^0?[0-7]{3}$/.test(text)) throw new UsageError(`--mode ${text}: expected rights such as 0660`);
  return Number.parseInt(text, 8);
}

function facts({ plugins, lists, state, notes }: Served): object {
  return { plugins, policy: lists, state: state ?? null, notes };
}

function readyText(listening: readonly string[], { plugins, lists, state, notes }: Served): string {
  const lines = [
    `Postern ${version} serves as a milter on ${listening.join(", ")}`,
    `  plugins  ${plugins.join(", ")}`,
  ];
  for (const [stage, words] of Object.entries(lists)) lines.push(`  ${stage.padEnd(8)} ${words.join(", ")}`);
  lines.push(`  state    ${state ?? "in memory, forgotten at the end"}`);
  return [...lines, ...notes.map((note) => `  note     ${note}`), ""].join("\n");
}
