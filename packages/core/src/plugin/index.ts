/** Define, find, load and set up plugins, and the `gateway` that they get. Knows none of them by name. */
export * from "./create-gateway.ts";
export * from "./definition.ts";
export { hostKeys, hostOptions } from "./entry.ts";
export type * from "./gateway.ts";
export * from "./handover.ts";
export * from "./host.ts";
export { importPlugin } from "./import.ts";
export { listenOn } from "./listen-socket.ts";
export { createOwnAddresses, type OwnAddresses } from "./own-addresses.ts";
export * from "./registrations.ts";
export * from "./registry.ts";
export { resolvePlugin } from "./resolve.ts";
export * from "./services.ts";
export * from "./session-slots.ts";
export * from "./set-up.ts";
export * from "./table-packages.ts";
