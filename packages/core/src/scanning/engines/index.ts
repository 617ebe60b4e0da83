/** For plugins whose scanner asks an engine over a connection. Speaks no engine's protocol. */
export { infected, infectedTreatments, type InfectedTreatment } from "./infected.ts";
export { namePattern } from "./name-pattern.ts";
export { reachAtStart, type EngineServer, type StartTold } from "./reach.ts";
export { EngineServers, type EngineServersOptions } from "./servers.ts";
export { warnOfLargeMessages, type SizeTold } from "./large-messages.ts";
export { NoSlot, Slots } from "./slots.ts";
