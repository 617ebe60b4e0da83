/** The milter protocol, versions 2 to 6, for both of its sides. Pure: no socket, no clock. */
export * from "./command.ts";
export * from "./data-reader.ts";
export * from "./fault.ts";
export * from "./options.ts";
export * from "./packet.ts";
export * from "./response.ts";
