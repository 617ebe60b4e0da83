/** Exit statuses of sysexits.h, by what went wrong. */
import type { ErrorCode } from "@postern/core";

export const exitCodes = Object.freeze({
  ok: 0,
  /** Not an error: `table query` found nothing, as postmap says it. */
  notFound: 1,
  usage: 64,
  /** What was named is not there. */
  data: 65,
  unavailable: 69,
  software: 70,
  cannotCreate: 73,
  temporary: 75,
  noPermission: 77,
  config: 78,
});

const byCode: Readonly<Record<ErrorCode, number>> = {
  CONFIG_INVALID: exitCodes.config,
  PLUGIN_INVALID: exitCodes.config,
  PLUGIN_FAILED: exitCodes.software,
  DEADLINE_EXCEEDED: exitCodes.temporary,
  TABLE_UNAVAILABLE: exitCodes.unavailable,
  SCANNER_FAILED: exitCodes.unavailable,
  DNS_UNAVAILABLE: exitCodes.unavailable,
  STORE_UNAVAILABLE: exitCodes.cannotCreate,
  STORE_FULL: exitCodes.cannotCreate,
  STORE_DAMAGED: exitCodes.software,
  STORE_LOCKED: exitCodes.temporary,
  LISTEN_FAILED: exitCodes.unavailable,
  CONTROL_UNAVAILABLE: exitCodes.unavailable,
  DELIVERY_FAILED: exitCodes.temporary,
};

/** A privileged port is a matter of permission, whatever the error's own code is. */
export function exitCodeOf(code: ErrorCode, cause: unknown): number {
  const system = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (code === "LISTEN_FAILED" && (system === "EACCES" || system === "EPERM")) return exitCodes.noPermission;
  return byCode[code] ?? exitCodes.software;
}
