// A file as a mutex between processes: one at a time, taken over when its owner is gone. Plain JavaScript.
import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";

const STALE_MS = 15 * 60 * 1000;
const POLL_MS = 200;

/**
 * Runs `body` while holding the file; calls `onWait` once when somebody else has it. Throws the system's error when the
 * file cannot be made.
 */
export function withMutex(path, onWait, body) {
  take(path, onWait);
  try {
    return body();
  } finally {
    rmSync(path, { force: true });
  }
}

function take(path, onWait) {
  let told = false;
  for (;;) {
    try {
      const handle = openSync(path, "wx");
      writeFileSync(handle, String(process.pid));
      closeSync(handle);
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (isAbandoned(path)) {
      rmSync(path, { force: true });
      continue;
    }
    if (!told) onWait();
    told = true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
  }
}

function isAbandoned(path) {
  let owner;
  let ageMs;
  try {
    ageMs = Date.now() - statSync(path).mtimeMs;
    owner = Number(readFileSync(path, "utf8"));
  } catch {
    return true;
  }
  // Just made: its owner has not yet written its id.
  if (!owner) return ageMs > 5000;
  if (ageMs > STALE_MS) return true;
  try {
    process.kill(owner, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}
