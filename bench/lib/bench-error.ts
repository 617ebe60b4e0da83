/** What the user can mend: one sentence that names the remedy, and a status of sysexits.h. */
export class BenchError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 69) {
    super(message);
    this.exitCode = exitCode;
  }
}
