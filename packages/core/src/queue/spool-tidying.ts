/** At start: spool files without a message, messages without a spool file. */
import type { FilePort } from "./file-port.ts";
import { incomingSuffix } from "./incoming-file.ts";
import type { QueueIndex } from "./queue-index.ts";
import type { SalvageFolder } from "./salvage-folder.ts";
import type { Damage } from "./store.ts";

/** As our files are named: what else lies here is somebody's, who shares a folder with us by mistake. */
const ours = /^[0-9A-Za-z_-]{1,64}\.(?:body|incoming)$/;

/**
 * A file nobody speaks of was never acknowledged, or its message is gone: it is unlinked. One that was still coming in never was
 * anyhow. But when the log is damaged (`salvage` given), it may be what is left of a message, and is kept aside. A message whose file
 * is missing stays in the queue, and is reported.
 */
export async function tidySpool(
  folder: string,
  port: FilePort,
  index: QueueIndex,
  salvage: SalvageFolder | undefined,
): Promise<readonly Damage[]> {
  const files = new Set(await port.list(folder));
  const damage: Damage[] = [];
  for (const id of index.spooled()) {
    if (!files.delete(`${id}.body`)) {
      const text = `the content of message ${id} is not there`;
      damage.push({ where: `${folder}/${id}.body`, sizeBytes: 0, text, keptIn: undefined });
    }
  }
  for (const name of files) {
    if (!ours.test(name)) continue;
    const path = `${folder}/${name}`;
    if (salvage === undefined || name.endsWith(incomingSuffix)) {
      await port.unlink(path).catch(() => undefined);
      continue;
    }
    const text = "a content without a message; the log is damaged";
    damage.push({ where: path, sizeBytes: 0, text, keptIn: await salvage.take(name, path) });
  }
  return damage;
}
