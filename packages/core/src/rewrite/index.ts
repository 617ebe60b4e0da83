/** The envelope between acceptance and queue: the rewriter seam, and modifiers' edits carried out. */
export * from "./envelope-edits.ts";
export * from "./qualify.ts";
export * from "./rewriter.ts";
export * from "./rewriting.ts";
