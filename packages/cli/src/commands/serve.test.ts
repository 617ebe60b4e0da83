// What `postern serve milter` refuses before it listens. What it does is tested with real mail servers in test/serve.
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { failureOf, formatFailure } from "../failure.ts";
import { loadMilterPackage } from "../milter-package.ts";
import { runCommand } from "../program.ts";

test.each<[args: readonly string[], status: number, said: string | RegExp]>([
  [
    ["--plugin", "@postern/plugin-greylist"],
    64,
    "postern: say where to listen: --listen inet:8899@127.0.0.1, or --listen unix:/path",
  ],
  [["--listen", "inet:0@127.0.0.1"], 64, "postern: say what to serve: --plugin NAME, or --config FILE"],
  [["--listen", "8899", "--plugin", "@postern/plugin-greylist"], 64, /^postern: --listen 8899: expected "inet:8899@/],
  [
    ["--listen", "inet:0", "--plugin", "@postern/plugin-greylist={delay}"],
    64,
    /behind the = stand its options, as JSON/,
  ],
  [
    ["--listen", "inet:0", "--plugin", "@postern/plugin-greylist", "--policy", "rctp=greylist"],
    64,
    /expected STAGE=WORD/,
  ],
  [
    ["--listen", "inet:0", "--plugin", "@postern/plugin-greylist", "--mode", "rw"],
    64,
    /--mode rw: expected rights such as 0660/,
  ],
  [
    ["--listen", "inet:0", "--plugin", "@postern/plugin-graylist"],
    78,
    /"@postern\/plugin-graylist" is not installed; did you mean "@postern\/plugin-greylist"/,
  ],
  [["--listen", "inet:0", "--plugin", '@postern/plugin-greylist={"dealy":"5m"}'], 78, /dealy.*did you mean "delay"/],
  [
    ["--listen", "inet:0", "--plugin", "@postern/plugin-greylist", "--policy", "rcpt=graylist"],
    78,
    /policy\.rcpt\[0\]: unknown word "graylist"; did you mean "greylist"\?/,
  ],
  [["--listen", "inet:0", "--plugin", '@postern/plugin-av-clamd={"address":"127.0.0.1:3310"}'], 78, /onError/],
  [
    [
      "--listen",
      "inet:0",
      "--plugin",
      "@postern/plugin-access",
      "--policy",
      "rcpt=check_client_access inline:{{192.0.2.7=FILTER smtp:x}}",
    ],
    78,
    /FILTER smtp:x: whoever asks has no transports of ours/,
  ],
])("%j is refused with %i", async (args, status, said) => {
  const output = { write: () => undefined, warn: () => undefined };
  const error: unknown = await runCommand(["serve", "milter", "--state", "./none", ...args], {
    cwd: tmpdir(),
    output,
  }).then(
    () => new Error("it started"),
    (refused: unknown) => refused,
  );
  const failure = failureOf(error);
  expect(formatFailure(failure, false)).toMatch(typeof said === "string" ? `${said}\n` : said);
  expect(failure.exitCode).toBe(status);
});

test("without the package that speaks the protocol it says what to install", async () => {
  const failure = failureOf(await loadMilterPackage(["/"]).catch((error: unknown) => error));
  expect(failure).toMatchObject({
    exitCode: 69,
    message:
      "postern serve milter needs @postern/plugin-milter, which is not installed; npm install @postern/plugin-milter",
  });
});
