/** The scanner seam. May not hold an engine's logic. */
export { ownScanner, type OwnedScanner, type ScannerHost } from "./registration.ts";
export type { ScanAsk, Scanner } from "./scanner.ts";
export { createScanning, type Scanning, type ScanRequest } from "./scanning.ts";
