/** `postern status` and `postern stop`: questions to the running gateway. */
import { askControl, type ResolvedConfig } from "@postern/core";
import { print, type Output } from "../output.ts";

export async function status(config: ResolvedConfig, json: boolean | undefined, output: Output): Promise<void> {
  const answer = await askControl(config.control.directory, { command: "status" });
  print(output, json, answer, () => formatStatus(answer, ""));
}

/** Long enough for sessions and deliveries in hand to end. */
const stopTimeoutMs = 120_000;

export async function stop(config: ResolvedConfig, json: boolean | undefined, output: Output): Promise<void> {
  await askControl(config.control.directory, { command: "stop" }, { untilClosed: true, timeoutMs: stopTimeoutMs });
  print(output, json, { stopped: true }, () => "Stopped\n");
}

/** Whatever the gateway tells, by name and indented: it may be newer than this command. */
export function formatStatus(value: unknown, indent: string): string {
  if (typeof value !== "object" || value === null) return `${indent}${String(value)}\n`;
  return Object.entries(value)
    .map(([key, inner]: [string, unknown]) => {
      if (typeof inner !== "object" || inner === null) return `${indent}${key}: ${String(inner)}\n`;
      if (Array.isArray(inner) && inner.every((one) => typeof one !== "object"))
        return `${indent}${key}: ${inner.join(", ") || "none"}\n`;
      const body = formatStatus(inner, `${indent}  `);
      return body === "" ? `${indent}${key}: none\n` : `${indent}${key}:\n${body}`;
    })
    .join("");
}
