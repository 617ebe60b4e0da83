// Two projects: `unit` stands beside the code, `e2e` starts real processes and services. Packages are read from
// source by the export condition, here and in every child that inherits the arguments.
import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

const conditions = ["@postern/source", ...defaultServerConditions];
const execArgv = ["--conditions=@postern/source"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ["@postern/source", "node"] } },
  test: {
    pool: "forks",
    execArgv,
    projects: [
      {
        extends: true,
        test: { name: "unit", include: ["packages/*/src/**/*.test.ts"], testTimeout: 10_000 },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 1,
        },
      },
    ],
  },
});
