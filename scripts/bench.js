// npm run bench -- CASE ARGS…: the benchmarks below bench/, one case a folder.
import { root, withWorkspace } from "./lib/workspace.js";

await withWorkspace(({ run }) =>
  run(["--conditions=@postern/source", `${root}/bench/main.ts`, ...process.argv.slice(2)]),
);
