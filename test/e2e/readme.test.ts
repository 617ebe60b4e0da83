// The README's three stories, taken from the README as it stands and run as it says; only ports and paths are this machine's.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { eicarName, startClamd } from "../services/clamd.ts";
import { describeWith } from "../services/describe-with.ts";
import { eicar } from "../services/eicar.ts";
import { temporaryFolder } from "../services/folder.ts";
import { freePort } from "../services/ports.ts";
import { startSmtpSink } from "../services/smtp-sink.ts";
import { hand } from "./dialogue.ts";
import { repository, startGateway } from "./gateway.ts";
import { until } from "./until.ts";

/** Blocks marked `<!-- story NAME: FILE -->`, by file, with `replacements` made; each of them must occur. */
function story(name: string, replacements: Readonly<Record<string, string>>): Record<string, string> {
  const readme = readFileSync(join(repository, "README.md"), "utf8");
  const block = /<!-- story (\S+): (\S+) -->\s*```\w*\n([^]*?)```/g;
  const files = [...readme.matchAll(block)].filter(([, of]) => of === name);
  expect(files).not.toHaveLength(0);
  let all = JSON.stringify(Object.fromEntries(files.map(([, , file = "", text = ""]) => [file, text])));
  for (const [from, to] of Object.entries(replacements)) {
    expect(all).toContain(from);
    all = all.replaceAll(from, to);
  }
  return JSON.parse(all) as Record<string, string>;
}

describeWith(["smtp-sink", "clamd"], "README", () => {
  it("a gateway in a config file, with a plugin in fifteen lines", async () => {
    using folder = temporaryFolder();
    await using sink = await startSmtpSink({ folder: folder.path, keep: true });
    const port = await freePort();
    const files = story("gateway", { 2525: String(port), 2526: String(sink.port) });
    expect(files["plugins/subject-tag.ts"]?.trimEnd().split("\n").length).toBeLessThanOrEqual(15);
    await using gateway = await startGateway({ port, configFile: "postern.config.json", files });
    const content = "From: a@source.test\r\nSubject: hello\r\n\r\nhello\r\n";
    expect(await hand(gateway.port, { to: "user@example.test", content })).toMatch(/^250 2\.0\.0 /);
    await until(() => sink.count() === 1);
    expect(sink.messages().join("")).toMatch(/^Subject: \[ext\] hello\r?$/m);
  });

  it("a virus scanner in front of mail", async () => {
    using folder = temporaryFolder();
    await using sink = await startSmtpSink({ folder: folder.path });
    await using clamd = await startClamd({ folder: folder.path });
    const port = await freePort();
    const files = story("scanner", {
      2525: String(port),
      2526: String(sink.port),
      "/run/clamav/clamd.ctl": clamd.socket,
    });
    await using gateway = await startGateway({ port, configFile: "postern.config.yaml", files });
    expect(await hand(gateway.port, { to: "user@example.test", content: "Subject: a\r\n\r\nclean\r\n" })).toMatch(
      /^250 /,
    );
    const refused = await hand(gateway.port, { to: "user@example.test", content: `Subject: b\r\n\r\n${eicar}\r\n` });
    expect(refused).toMatch(/^55\d 5\.7\.1 /);
    expect(refused).toContain(eicarName);
    await until(() => sink.count() === 1);
  });
});
