/** The local control socket. May not listen on TCP. */
export * from "./client.ts";
export * from "./server.ts";
export * from "./quarantine-commands.ts";
export * from "./queue-commands.ts";
