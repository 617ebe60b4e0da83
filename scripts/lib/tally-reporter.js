// A vitest reporter that writes what happened to the file $POSTERN_TALLY, for the sum at the end of `npm test`:
// { passed, failed: [name], skipped: [{ name, reason? }] }. A suite that is skipped
// as a whole carries its reason in its name.
import { writeFileSync } from "node:fs";

export default class TallyReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const tally = { passed: 0, failed: [], skipped: [] };
    for (const module of modules) {
      const file = module.relativeModuleId;
      // A file that could not be read, or a hook of a suite that threw.
      if (module.errors().length > 0) tally.failed.push(`${file}: ${firstLine(module.errors()[0])}`);
      for (const suite of module.children.allSuites())
        if (suite.errors().length > 0)
          tally.failed.push(`${file} > ${suite.fullName}: ${firstLine(suite.errors()[0])}`);
      for (const test of module.children.allTests()) count(tally, file, test);
    }
    for (const error of unhandledErrors) tally.failed.push(`unhandled error: ${firstLine(error)}`);
    const path = process.env.POSTERN_TALLY;
    if (path) writeFileSync(path, JSON.stringify(tally));
  }
}

function count(tally, file, test) {
  const name = `${file} > ${test.fullName}`;
  const result = test.result();
  if (result.state === "passed") tally.passed++;
  else if (result.state === "skipped" && !isBelowFailure(test)) tally.skipped.push({ name, reason: result.note });
  // Pending at the end means that the run was cut short.
  else tally.failed.push(result.state === "failed" ? name : `${name}: did not run`);
}

/** Whether a hook of a suite around it threw; vitest calls such a test skipped. */
function isBelowFailure(test) {
  for (let around = test.parent; around !== undefined; around = around.parent)
    if (around.errors().length > 0) return true;
  return false;
}

function firstLine(error) {
  return String(error?.message ?? error).split("\n")[0];
}
