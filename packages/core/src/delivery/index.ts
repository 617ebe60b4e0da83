/** From the queue to transports: the transport contract, one attempt, the driver of the scheduler. May not know a transport. */
export { attemptDelivery, type AttemptOptions, type AttemptResult } from "./attempt.ts";
export type { DeliveryGeneration, DeliveryHost, DeliveryOptions, Failure } from "./delivery-host.ts";
export { discardTransport } from "./discard-transport.ts";
export { DeliveryDriver } from "./driver.ts";
export { errorTransport } from "./error-transport.ts";
export { formatMailEvent, type MailEvent } from "./mail-events.ts";
export type { DeliveryControls, DeliveryReport, DeliveryRequest, Transport } from "./transport.ts";
export { QueueDesk, type QueueListing, type QueueListOptions } from "./queue-desk.ts";
