/** This gateway as the mail server of milters. */
export { askMilters } from "./front.ts";
export { clientOptions } from "./options.ts";
