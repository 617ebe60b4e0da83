/** Names of files in a Maildir. */
import { randomBytes } from "node:crypto";

/** A file's name may have 255 octets; what stands around the host has less than 100. */
const longestHost = 128;

/** `1700000000.M123456P4711Q9R0123456789abcdef.host`: time, process, count, and chance for clocks and processes that repeat. */
export function createNameSource(now: () => number, hostname: string, pid: number = process.pid): () => string {
  const host = hostname.replaceAll("/", "\\057").replaceAll(":", "\\072").slice(0, longestHost);
  let count = 0;
  return () => {
    const ms = now();
    count += 1;
    const micros = String(Math.floor((ms % 1000) * 1000)).padStart(6, "0");
    return `${Math.floor(ms / 1000)}.M${micros}P${pid}Q${count}R${randomBytes(8).toString("hex")}.${host}`;
  };
}
