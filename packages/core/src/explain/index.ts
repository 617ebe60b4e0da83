/** What a config would do, without doing it: for `postern explain`, `check` and `why`. May not submit, listen or write. */
export type * from "./explained.ts";
export { createExplainer, type Explainer, type ExplainOptions } from "./explainer.ts";
