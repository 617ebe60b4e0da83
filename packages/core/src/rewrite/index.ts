/** Addresses between acceptance and queue, and on the way out: the rewriter seam, and modifiers' edits carried out. */
export * from "./envelope-edits.ts";
export * from "./header-addresses.ts";
export * from "./outbound.ts";
export * from "./qualify.ts";
export * from "./report.ts";
export * from "./rewriter.ts";
export * from "./rewriting.ts";
