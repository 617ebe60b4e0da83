/** The kinds of hook over tapable, and the catalogue. May not know any plugin, nor fire a hook itself. */
export * from "./catalogue.ts";
export * from "./declare.ts";
export * from "./kinds.ts";
export type { DeliveryHooks, LifecycleHooks, QueueHooks, TableHooks } from "./queue-hooks.ts";
export type { SmtpHooks } from "./smtp-hooks.ts";
