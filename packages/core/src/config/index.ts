/** Finding, loading and checking a config; units and secrets for plugins' options. Starts nothing. */
export { onError } from "./failure.ts";
export { findNearest } from "./nearest.ts";
export { Secret, secret, type SecretSource } from "./secret.ts";
export { duration, parseDuration, parseSize, size, type UnitRange, type UnitSchema } from "./units.ts";
