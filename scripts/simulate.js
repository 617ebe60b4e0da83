// npm run simulate -- [--seeds N] [--seed S] [--planted] [--json]: lives of the queue's store on a disk that fails and loses power.
import { root, withWorkspace } from "./lib/workspace.js";

await withWorkspace(({ run }) =>
  run(["--conditions=@postern/source", `${root}/test/simulation/main.ts`, ...process.argv.slice(2)]),
);
