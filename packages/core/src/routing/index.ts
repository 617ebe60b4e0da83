/** Address classes, and where each recipient goes. May not open sockets. */
export * from "./address-book.ts";
export * from "./router.ts";
