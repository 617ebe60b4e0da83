/** Aliases that lead to themselves without an end, and routes that lead back to us. Tables in memory are read whole, others cannot be. */
import { setImmediate as turn } from "node:timers/promises";
import type { ResolvedConfig } from "../../config/index.ts";
import { parseNextHop } from "../../address/next-hop.ts";
import { formatIp, parseAddressLiteral, parseIp } from "../../address/index.ts";
import type { OpenedTable } from "../../tables/index.ts";
import { createOwnEndpoints } from "../../routing/index.ts";
import { systemClock } from "../../model/index.ts";
import type { Explainer } from "../explainer.ts";
import type { Finding } from "./finding.ts";

/** Keys that are tried; more of them are not proved. */
const mostKeys = 50_000;
const mostTold = 20;

export async function findAliasLoops(
  explainer: Explainer,
  progress: (text: string) => void,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const looped = new Set<string>();
  let tried = 0;
  for (const { label, table } of await explainer.listing.openTables()) {
    for (const { key, file, line } of table.entries?.() ?? []) {
      if (!/^[^@\s]+@[^@\s]+$/.test(key)) continue;
      if (tried++ >= mostKeys || findings.length >= mostTold) return findings;
      if (tried % 500 === 0) {
        progress(`aliases: ${tried}`);
        await turn();
      }
      if (looped.has(key.toLowerCase())) continue;
      const { steps, error } = await explainer.rewrite(key);
      // Another table may have the key, for another reason.
      if (error === undefined || !steps.some((step) => step.table === label && step.key === key.toLowerCase()))
        continue;
      const way: string[] = [];
      for (const { before } of steps) {
        looped.add(before.toLowerCase());
        if (!way.includes(before)) way.push(before);
      }
      findings.push({
        level: "warning",
        rule: "alias-loop",
        place: file === undefined ? label : `${file}${line === undefined ? "" : `:${line}`}`,
        message: `mail for ${key} is put off for ever: ${error} (${way.slice(0, 4).join(" → ")}${way.length > 4 ? " → …" : ` → ${steps.at(-1)?.after[0] ?? ""}`})`,
        remedy: "let the alias end at a mailbox",
      });
    }
  }
  if (findings.length === 0 && tried > 0) {
    findings.push({
      level: "proved",
      rule: "alias-loop",
      message: "no alias of a table in memory leads to itself without an end",
    });
  }
  return findings;
}

export function findRouteLoops(config: ResolvedConfig, tables: readonly OpenedTable[]): readonly Finding[] {
  const own = createOwnEndpoints({
    clock: systemClock,
    proxyInterfaces: config.proxyInterfaces,
    listening: () => config.listeners.filter(({ port }) => port !== 0),
  });
  const leadsBack = (hop: string): boolean => {
    const parsed = parseNextHop(hop);
    if (parsed === undefined) return false;
    const { host, port = 25 } = parsed;
    const literal = parseAddressLiteral(`[${host}]`) ?? parseIp(host);
    if (literal !== undefined) return own.isOwnEndpoint(formatIp(literal), port);
    return host.toLowerCase() === config.hostname && config.listeners.some((listener) => listener.port === port);
  };
  const findings: Finding[] = [];
  const check = (place: string, subject: string, hops: string): void => {
    for (const hop of hops.split(/[\s,]+/).filter((one) => one !== "")) {
      if (!leadsBack(hop)) continue;
      findings.push({
        level: "warning",
        rule: "route-loop",
        place,
        message: `${subject} is sent to ${hop}, which is this gateway: it would come back and is bounced`,
        remedy: "name the host that keeps the mail, or put the domain into domains.local or domains.virtualMailbox",
      });
    }
  };
  if (config.relayhost !== undefined) check("relayhost", "mail that is not ours", config.relayhost);
  const specs = new Set(config.routes.map((spec) => (typeof spec === "string" ? spec : JSON.stringify(spec))));
  for (const { label, table } of tables) {
    if (!specs.has(label) && !isInline(label, specs)) continue;
    for (const { key, value, file, line } of table.entries?.() ?? []) {
      if (findings.length >= mostTold) return findings;
      const colon = value.indexOf(":");
      if (!/^(?:smtp|relay|lmtp)?$/.test(value.slice(0, Math.max(colon, 0)))) continue;
      const place = file === undefined ? `routes, key "${key}"` : `${file}${line === undefined ? "" : `:${line}`}`;
      check(place, `mail for ${key}`, value.slice(colon + 1));
    }
  }
  return findings;
}

/** Tables that are written in the config have a label of their keys. */
function isInline(label: string, specs: ReadonlySet<string>): boolean {
  if (!label.startsWith("inline:")) return false;
  return [...specs].some(
    (spec) => spec.startsWith("{") && label === `inline:{${Object.keys(JSON.parse(spec) as object).join(",")}}`,
  );
}
