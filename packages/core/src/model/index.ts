/** Plain types of the mail field. This folder does no I/O and decides nothing. */
export * from "./clock.ts";
export * from "./drop-oldest.ts";
export * from "./envelope.ts";
export * from "./foreign-text.ts";
export * from "./ids.ts";
export * from "./log-text.ts";
export * from "./maybe-promise.ts";
export * from "./outcome.ts";
export * from "./queued-message.ts";
export * from "./reply.ts";
export * from "./route.ts";
export * from "./session.ts";
export type * from "./table-spec.ts";
export * from "./transient-map.ts";
export * from "./verdict.ts";
