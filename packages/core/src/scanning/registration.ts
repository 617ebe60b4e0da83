/** A scanner as a plugin registers it, checked and bound to its owner. Mistakes are found here, before any mail. */
import { PluginError } from "../errors.ts";
import { defaultScannerDeadlineMs, failurePolicies, type OnError, type Owner } from "../guard/owner.ts";
import type { Scanner } from "./scanner.ts";

export interface OwnedScanner {
  readonly owner: Owner;
  readonly scanner: Scanner;
}

/** The host keys of the plugin's config entry, as given there. */
export interface ScannerHost {
  /** The plugin's instance name. */
  readonly name: string;
  readonly onError?: OnError | undefined;
  readonly deadlineMs?: number | undefined;
}

/** Throws `PluginError` for a scanner that breaks the contract, or for which nobody said what stands when it fails. */
export function ownScanner(host: ScannerHost, scanner: Scanner): OwnedScanner {
  if (typeof scanner?.name !== "string" || !/^[a-z][a-z0-9-]*$/.test(scanner.name)) {
    throw new PluginError(host.name, "a scanner needs a name of lower-case letters, digits and hyphens");
  }
  if (typeof scanner.scan !== "function") {
    throw new PluginError(host.name, `scanner ${scanner.name} has no function "scan"`);
  }
  if (scanner.begin !== undefined && typeof scanner.begin !== "function") {
    throw new PluginError(host.name, `"begin" of scanner ${scanner.name} is no function`);
  }
  const onError = scanner.onError ?? host.onError;
  if (onError === undefined) {
    throw new PluginError(
      host.name,
      `"onError" is missing: say what stands when scanner ${scanner.name} gives no verdict: ${failurePolicies.join(", ")}`,
    );
  }
  const policies: readonly unknown[] = typeof onError === "string" ? [onError] : Object.values(onError);
  const wrong = policies.find((policy) => !failurePolicies.some((known) => known === policy));
  if (wrong !== undefined) {
    throw new PluginError(
      host.name,
      `"onError" of scanner ${scanner.name} is ${JSON.stringify(wrong)}; it is one of ${failurePolicies.join(", ")}, or an object of them by reason`,
    );
  }
  const deadlineMs = scanner.deadlineMs ?? host.deadlineMs ?? defaultScannerDeadlineMs;
  if (!(deadlineMs > 0 && Number.isFinite(deadlineMs))) {
    throw new PluginError(host.name, `"deadline" of scanner ${scanner.name} is not a positive duration`);
  }
  return { scanner, owner: Object.freeze({ name: host.name, onError, deadlineMs }) };
}
