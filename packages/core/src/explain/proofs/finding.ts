/** What `postern check` says of a config beyond that it is right. */

/** error: it must be mended. warning: it should. note: it is worth knowing. proved: it was tried and held. */
export type FindingLevel = "error" | "warning" | "note" | "proved";

export interface Finding {
  readonly level: FindingLevel;
  /** Its name, for programs: `open-relay`. */
  readonly rule: string;
  /** Where in the config, or in a table's file; absent when it is about the whole. */
  readonly place?: string | undefined;
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string | undefined;
}
