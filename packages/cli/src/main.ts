/** The command `postern`: one sentence and a status of sysexits.h when something goes wrong, a stack only for DEBUG. */
import { exitCodes } from "./exit-codes.ts";
import { CommandError, failureOf, formatFailure, type Failure } from "./failure.ts";
import { processOutput } from "./output.ts";
import { runCommand } from "./program.ts";

const args = process.argv.slice(2);
// A reader that has seen enough (`postern words | head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  const sentence = `standard output cannot be written (${error.code ?? error.message})`;
  process.exit(tell(new CommandError(sentence, exitCodes.cannotCreate, "OUTPUT_NOT_WRITTEN")));
});
// Nor is it a reason to stop for a gateway that the reader of its log is gone.
process.stderr.on("error", () => undefined);
try {
  process.exitCode = await runCommand(args, { cwd: process.cwd(), output: processOutput });
} catch (error) {
  process.exitCode = tell(failureOf(error));
  if (process.env["DEBUG"] !== undefined && error instanceof Error) processOutput.warn(`${error.stack}\n`);
}

/** Gives the status. */
function tell(failure: Failure): number {
  processOutput.warn(formatFailure(failure, args.includes("--json")));
  return failure.exitCode;
}
