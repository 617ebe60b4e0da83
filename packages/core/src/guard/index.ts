/** One guarded call: owner, deadline, `onError`. May not know any plugin. */
export * from "./at-setup.ts";
export { Breaker, failuresToOpen, type Turn } from "./breaker.ts";
export * from "./failure-log.ts";
export * from "./guard.ts";
export * from "./objection.ts";
export * from "./owner.ts";
