/** The folders of a Maildir, made when its first message comes. */
import { dirname, join } from "node:path";
import { syncFolder, type FilePort } from "./file-port.ts";

/**
 * Makes `new`, `cur` and `tmp` in `box`, and what is missing above, 0700, all of it on stable storage. `tmp` comes last: whoever
 * finds it, in this process or another, finds the rest, and needs to make sure of nothing.
 */
export async function createFolders(files: FilePort, root: string, box: string): Promise<void> {
  const make = (folder: string): Promise<string | undefined> => files.mkdir(folder, { recursive: true, mode: 0o700 });
  const topmost = (await make(join(box, "new"))) ?? join(box, "new");
  await make(join(box, "cur"));
  // A folder is there after a power cut only when the one above it was synced. Somebody may have made these and gone before.
  const made = dirname(topmost);
  const end = made.length < root.length ? made : root;
  for (let folder = box; ; folder = dirname(folder)) {
    await syncFolder(files, folder);
    if (folder === end || folder === dirname(folder)) break;
  }
  await make(join(box, "tmp"));
}
