// Runs one child in our place: same terminal, same process group, its signals and its exit status. Plain JavaScript
// for Node 18 or newer.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];
/** Of what a quiet child says, the last million characters are enough. */
const MAX_OUTPUT = 1_000_000;

/**
 * Starts the child and resolves to the exit status to end with: its own, or 128+n when signal n ended it. Rejects when
 * it cannot be started.
 *
 * A signal sent to us is handed on once. Ctrl-C is not: the terminal sends it to the whole foreground group, so the
 * child has it already, and a second one would count as "at once, please".
 */
export function runChild(command, args, options = {}) {
  return waitFor(spawn(command, args, { stdio: "inherit", ...options }));
}

/** The same without a terminal: resolves to `{ status, stdout, stderr }`. */
export async function runQuietly(command, args, options = {}) {
  const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"])
    child[name].setEncoding("utf8").on("data", (text) => {
      texts[name] = (texts[name] + text).slice(-MAX_OUTPUT);
    });
  const status = await waitFor(child, "close");
  return { status, ...texts };
}

function waitFor(child, end = "exit") {
  return new Promise((resolve, reject) => {
    const sent = new Set();
    const handOn = (signal) => {
      if (sent.has(signal) || (signal === "SIGINT" && isForegroundOfTerminal())) return;
      sent.add(signal);
      child.kill(signal);
    };
    for (const signal of SIGNALS) process.on(signal, handOn);
    const stop = () => {
      for (const signal of SIGNALS) process.off(signal, handOn);
    };
    child.on("error", (error) => {
      stop();
      reject(error);
    });
    child.on(end, (code, signal) => {
      stop();
      resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]);
    });
  });
}

/** Whether our process group is the one a terminal sends its Ctrl-C to. */
function isForegroundOfTerminal() {
  try {
    // proc(5): after the name in parentheses come state, ppid, pgrp, session, tty_nr, tpgid.
    const fields = readFileSync("/proc/self/stat", "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return fields[4] !== "0" && fields[2] === fields[5];
  } catch {
    return process.stdin.isTTY === true || process.stderr.isTTY === true;
  }
}
