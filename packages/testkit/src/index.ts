/** `@postern/testkit`: tests for plugins at the desk, without a network. It knows core by its public name alone. */
export * from "./fake-clock.ts";
export * from "./samples.ts";
export { sampleScanAsk, type ScanAskSample } from "./sample-ask.ts";
export * from "./fake-space.ts";
export * from "./plugin-instance.ts";
export * from "./open-plugin.ts";
export * from "./edges.ts";
export * from "./hostile.ts";
export * from "./dialogue.ts";
export * from "./sink.ts";
export * from "./cases.ts";
export * from "./test-restriction.ts";
export { formatScanAnswer } from "./scan-answer.ts";
export * from "./test-scanner.ts";
export * from "./test-table.ts";
export * from "./test-transport.ts";
export * from "./test-gateway.ts";
export * from "./hostile-plugin.ts";
