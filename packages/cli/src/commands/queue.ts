/** `postern queue verify` and `salvage`, and the same of the quarantine: a store that no gateway runs on. */
import { PosternError, type ResolvedConfig, salvageQueue, verifyQueue } from "@postern/core";
import { exitCodes } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { print, type Output } from "../output.ts";

type Damage = Awaited<ReturnType<typeof verifyQueue>>["damage"][number];

/** The key of the config whose folder it is. */
export type Stored = "queue" | "quarantine";

/** Damage is told on standard output, and is an exit status. */
export async function verify(
  config: ResolvedConfig,
  what: Stored,
  json: boolean | undefined,
  output: Output,
): Promise<void> {
  const { directory } = config[what];
  const report = await offline(what, directory, () => verifyQueue(directory, undefined, `${what}.directory`));
  const { damage, messages, segments, logBytes, records, contents, leftovers, checkpoint } = report;
  print(output, json, report, () => {
    const kinds = Object.entries(records).map(([kind, count]) => `${count} ${kind}`);
    return [
      `${messages} messages in ${report.directory}`,
      `log: ${segments} segments, ${logBytes} octets; records: ${kinds.join(", ") || "none"}`,
      `contents in files: ${contents}, ${leftovers} of them left over`,
      `checkpoint: ${checkpoint}`,
      damage.length === 0 ? "no damage" : `damage: ${damage.length}`,
      ...damage.map(formatDamage),
    ]
      .map((line) => `${line}\n`)
      .join("");
  });
  if (damage.length === 0) return;
  throw new CommandError(
    `the ${what} in ${report.directory} is damaged; postern ${what} salvage saves what can be read`,
    exitCodes.software,
    "STORE_DAMAGED",
  );
}

export async function salvage(
  config: ResolvedConfig,
  what: Stored,
  json: boolean | undefined,
  output: Output,
): Promise<void> {
  const { directory } = config[what];
  const report = await offline(what, directory, () =>
    salvageQueue(directory, undefined, undefined, `${what}.directory`),
  );
  const { damage, keptAside, messages } = report;
  print(output, json, report, () => {
    if (damage.length === 0) return `${messages} messages in ${report.directory}, no damage: nothing was changed\n`;
    return [
      `found in ${report.directory}:`,
      ...damage.map(formatDamage),
      ...(keptAside.length === 0 ? [] : ["messages that could not be saved whole:"]),
      ...keptAside.flatMap(({ id, sender, recipients, reason, files }) => [
        `  ${id} from <${sender}> to ${recipients.map((address) => `<${address}>`).join(", ")}: ${reason}`,
        ...files.map((file) => `    kept in ${file}`),
      ]),
      `${messages} messages in the ${what}, whole`,
    ]
      .map((line) => `${line}\n`)
      .join("");
  });
}

function formatDamage({ where, sizeBytes, text, keptIn }: Damage): string {
  const size = sizeBytes === 0 ? "" : ` (${sizeBytes} octets)`;
  return `  ${where}${size}: ${text}${keptIn === undefined ? "" : `; kept in ${keptIn}`}`;
}

/** A store in use is the gateway's: the sentence says what to do. */
async function offline<T>(what: Stored, directory: string, command: () => Promise<T>): Promise<T> {
  try {
    return await command();
  } catch (error) {
    if (!(error instanceof PosternError) || error.code !== "STORE_LOCKED") throw error;
    throw new CommandError(
      `a gateway is running on the ${what} in ${directory}; stop it first (postern stop)`,
      exitCodes.temporary,
      "STORE_LOCKED",
    );
  }
}
