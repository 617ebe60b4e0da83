/** The scanner seam. May not hold an engine's logic. */
export type { ScanCount, ScannerStatus } from "./engine.ts";
export * from "./engines/index.ts";
export { checkFinding, type ScanOutcome } from "./finding.ts";
export type { Intakes } from "./intakes.ts";
export { ownScanner, type OwnedScanner, type ScannerHost } from "./registration.ts";
export type {
  EditPart,
  IntakeAsk,
  PerRecipient,
  ScanAnswer,
  ScanAsk,
  ScanIntake,
  Scanner,
  ScanPart,
} from "./scanner.ts";
export { createScanning, type Scanning, type ScanRequest } from "./scanning.ts";
export { unscannedHeader } from "./unscanned.ts";
