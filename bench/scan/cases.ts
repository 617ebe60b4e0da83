/** All cases, in the order in which they run. */
import type { FigureCase } from "../lib/figure-case.ts";
import { scanCase } from "./scan-case.ts";

export const cases: readonly FigureCase[] = [
  scanCase({ name: "4-kib", size: "4 KiB", messages: 8_000, sizeBytes: 4 * 1024, rate: 2 }),
  scanCase({ name: "1-mib", size: "1 MiB", messages: 1_000, sizeBytes: 1024 * 1024 }),
];
