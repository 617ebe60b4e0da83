/** What a config would do, without doing it: for `postern explain`, `check` and `why`. May not submit, listen or write. */
export type * from "./explained.ts";
export { createExplainer, type Explainer, type ExplainOptions } from "./explainer.ts";
export type { Finding, FindingLevel } from "./proofs/finding.ts";
export type { MachineAddresses } from "./proofs/networks.ts";
export { proveConfig, type ProveOptions } from "./proofs/prove.ts";
