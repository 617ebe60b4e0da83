// Two projects: `unit` stands beside the code, `e2e` starts real processes and services. Packages are read from
// source by the export condition, here and in the worker processes.
import { defineConfig } from "vitest/config";

const source = "@postern/source";
const conditions = [source, "module", "node", "development|production"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: [source, "node"] } },
  test: {
    // Processes, not threads: tests change the working directory, use node:sqlite, and are killed whole.
    pool: "forks",
    // For two cores, of both projects: while one file waits for services, timers and the disk, the others go on.
    maxWorkers: 3,
    execArgv: [`--conditions=${source}`],
    // These end what hangs. A machine that stands still for seconds, as rented ones do, is no failure.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "examples/**/*.test.ts", "bench/**/*.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/**/*.test.ts"],
        },
      },
    ],
  },
});
