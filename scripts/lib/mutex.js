// A file as a mutex between processes: one at a time, taken over when its owner is gone. Plain JavaScript.
import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

const STALE_MS = 15 * 60 * 1000;
const POLL_MS = 200;

/**
 * Runs `body` while holding the file; calls `onWait` once when somebody else has it. Rejects with the system's error when the
 * file cannot be made.
 */
export async function withMutex(path, onWait, body) {
  await take(path, onWait);
  try {
    return await body();
  } finally {
    rmSync(path, { force: true });
  }
}

async function take(path, onWait) {
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
    await delay(POLL_MS);
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
