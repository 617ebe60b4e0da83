// The config of docs/submission.md, with a key of the test's: it passes check, and check refuses it without key or authenticator.
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { command, repository } from "../e2e/gateway.ts";
import { run } from "../e2e/run.ts";
import { makeCertificate } from "../services/certificate.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";

const page = readFileSync(join(repository, "docs/submission.md"), "utf8");
const block = (opening: string): string => {
  const found = page.split("```").find((text) => text.startsWith(opening));
  if (found === undefined) throw new Error(`no block that begins with ${opening}`);
  return found.slice(opening.indexOf("\n") + 1);
};

describeWith(["openssl"], "docs/submission.md", () => {
  it("has a config that passes check; without its key or its authenticator the sentences are the page's", async () => {
    using folder = temporaryFolder();
    symlinkSync(join(repository, "node_modules"), join(folder.path, "node_modules"));
    mkdirSync(join(folder.path, "tls"));
    const { key, cert } = makeCertificate(folder.path, ["mail.example.test"]);
    copyFileSync(key, join(folder.path, "tls/key.pem"));
    copyFileSync(cert, join(folder.path, "tls/fullchain.pem"));
    writeFileSync(join(folder.path, "passwords"), block("\n# passwords"));
    writeFileSync(join(folder.path, "logins"), block("\n# logins"));
    const config = JSON.parse(block("json\n"));
    const check = (written: object): ReturnType<typeof run> => {
      writeFileSync(join(folder.path, "postern.config.json"), JSON.stringify(written), { mode: 0o600 });
      return run(process.execPath, ["--conditions=@postern/source", command, "check"], { cwd: folder.path });
    };
    expect(await check(config)).toMatchObject({ status: 0, stderr: "" });
    const said = (stderr: string): string => stderr.replace(/^.*config\.json: /gm, "");
    const listeners = config.listeners.slice(1);
    const withoutKey = await check({ ...config, listeners, tls: undefined });
    expect(withoutKey.status).toBe(78);
    expect(page).toContain(said(withoutKey.stderr).split("\n")[0]);
    const plugins = config.plugins.filter((entry: unknown) => !JSON.stringify(entry).includes("plugin-auth"));
    const withoutAuthenticator = await check({ ...config, listeners, plugins });
    expect(withoutAuthenticator.status).toBe(78);
    expect(page).toContain(said(withoutAuthenticator.stderr).split("\n")[0]);
  });
});
