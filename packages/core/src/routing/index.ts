/** Address classes, our own clients, and where each recipient goes. May not open sockets. */
export * from "./address-book.ts";
export * from "./client-networks.ts";
export * from "./moved.ts";
export * from "./open-routing.ts";
export * from "./own-endpoints.ts";
export * from "./route-result.ts";
export * from "./route-tables.ts";
export * from "./router.ts";
export * from "./sender-tables.ts";
