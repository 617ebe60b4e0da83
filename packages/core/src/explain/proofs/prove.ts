/** All proofs of a config that could be started. Asks tables, and neither DNS nor a service. */
import { canonicalDomain } from "../../address/index.ts";
import type { ResolvedConfig } from "../../config/index.ts";
import type { DomainClass } from "../../config/index.ts";
import type { GenerationListing } from "../../generation-contract.ts";
import type { MaybePromise } from "../../model/index.ts";
import { createExplainer, type ExplainOptions } from "../explainer.ts";
import { findBackscatter } from "./backscatter.ts";
import type { Finding } from "./finding.ts";
import { findTrustInStrangers } from "./listeners.ts";
import { findAliasLoops, findRouteLoops } from "./loops.ts";
import { findStandIns, readMachine, type MachineAddresses } from "./networks.ts";
import { proveNoOpenRelay } from "./open-relay.ts";
import { provePostmasters } from "./reachable.ts";
import { strangersResolver } from "./strangers.ts";
import { findUnreachable } from "./unreachable.ts";

export interface ProveOptions extends Pick<ExplainOptions, "searchFrom" | "instances" | "clock" | "warn"> {
  /** Addresses of this machine; read from it unless given. */
  readonly machine?: MachineAddresses;
  /** May look at what is open, before anything is proved. */
  readonly look?: (listing: GenerationListing) => MaybePromise<void>;
  /** Told now and then what is being proved. */
  readonly progress?: (text: string) => void;
}

/** Domains that are asked about, at most. */
const mostDomains = 50;

/** Rejects as a start would. */
export async function proveConfig(config: ResolvedConfig, options: ProveOptions = {}): Promise<readonly Finding[]> {
  const { machine = readMachine(), progress = () => undefined, look, ...rest } = options;
  const explainer = await createExplainer(config, { ...rest, resolver: strangersResolver, readState: false });
  try {
    const { listing } = explainer;
    await look?.(listing);
    const domains = ownDomains(config);
    const tables = await listing.openTables();
    return [
      ...(await proveNoOpenRelay(config, explainer, domains[0], progress)),
      ...(await provePostmasters(config, explainer, domains, progress)),
      ...findTrustInStrangers(config),
      ...(await findStandIns(config, listing.networks, machine)),
      ...findUnreachable(config, listing),
      ...(await findAliasLoops(explainer, progress)),
      ...findRouteLoops(config, tables),
      ...(await findBackscatter(config, explainer, domains)),
    ];
  } finally {
    await explainer.close();
  }
}

/** Those that are plainly written. */
function ownDomains({ domains }: ResolvedConfig): readonly string[] {
  const { local, virtualMailbox, relay, virtualAlias } = domains;
  const found = new Set<string>();
  for (const { domains: given } of [local, virtualMailbox, relay, virtualAlias] satisfies DomainClass[]) {
    for (const item of Array.isArray(given) ? given : [given]) {
      if (typeof item !== "string" || !/^[^!/:.][^/:]*$/.test(item)) continue;
      const domain = canonicalDomain(item);
      if (domain !== undefined && found.size < mostDomains) found.add(domain);
    }
  }
  return [...found];
}
