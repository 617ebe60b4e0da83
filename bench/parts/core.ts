/** The inside of core that the parts are measured at, one by one; `@postern/core` shows only the whole. */
export { buildGeneration } from "../../packages/core/src/generation.ts";
export type { Generation } from "../../packages/core/src/generation-contract.ts";
export { createNamelessFiles, createSpooler } from "../../packages/core/src/message/index.ts";
export {
  retryDefaults,
  Scheduler,
  schedulerDefaults,
  type ScheduleCommand,
} from "../../packages/core/src/queue/index.ts";
export { createSmtpListener, formatSmtpEvent, type SmtpHost } from "../../packages/core/src/smtp/index.ts";
