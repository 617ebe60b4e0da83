// A short-lived folder for one service or gateway. Its path is short, since the path of a unix socket holds 107 bytes.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Daemons that change their user must be able to pass through, hence 0755. Disposing removes it with all in it. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir().length < 24 ? tmpdir() : "/tmp", "ps-"));
  chmodSync(path, 0o755);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
