/** The one resolver seam: a stub with a TTL cache, a static one, and client names. May not know who asks or why. */
export * from "./client-name.ts";
export * from "./resolver.ts";
export * from "./static-resolver.ts";
export * from "./stub-resolver.ts";
