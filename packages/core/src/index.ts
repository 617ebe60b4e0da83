/**
 * `@postern/core`: what a gateway is made of. Plugin authors need `definePlugin`, the constructors (`reply`, `reject`,
 * `defer`, `permit`) and the types; the command line and the testkit use the rest.
 */
export * from "./errors.ts";
export * from "./model/index.ts";
export * from "./message/index.ts";
export * from "./address/index.ts";
export * from "./guard/index.ts";
export * from "./hooks/index.ts";
export * from "./config/index.ts";
export * from "./dns/index.ts";
export * from "./tables/index.ts";
export * from "./state/index.ts";
export * from "./rewrite/index.ts";
export * from "./routing/index.ts";
export * from "./policy/index.ts";
export * from "./scanning/index.ts";
export * from "./queue/index.ts";
export type { DeliveryControls, DeliveryReport, DeliveryRequest, Transport } from "./delivery/transport.ts";
export * from "./plugin/index.ts";
export * from "./smtp/index.ts";
export * from "./control/index.ts";
export * from "./generation.ts";
export * from "./runtime.ts";
