// npm start: the gateway on embedded defaults. More arguments after `npm start --`.
import { root, withWorkspace } from "./lib/workspace.js";

await withWorkspace(({ run }) =>
  run([
    "--conditions=@postern/source",
    `${root}/packages/cli/src/main.ts`,
    "start",
    "--defaults",
    ...process.argv.slice(2),
  ]),
);
