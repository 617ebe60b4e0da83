// As published: core, command line and plugins packed by `npm pack` and installed into an empty project. Nothing is published.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../services/folder.ts";
import { freePort } from "../services/ports.ts";
import { startService } from "../services/service.ts";
import { ask } from "../services/ports.ts";
import { hand } from "./dialogue.ts";
import { repository } from "./gateway.ts";
import { run, type Ended } from "./run.ts";

const packages = ["core", "cli", "plugin-access", "plugin-transport-smtp", "plugin-transport-maildir"];

/** A third party's plugin as its author would publish it: JavaScript, core as a peer. */
const thirdParty = {
  "package.json": JSON.stringify({
    name: "postern-plugin-no-mondays",
    version: "1.0.0",
    type: "module",
    exports: "./index.js",
    keywords: ["postern-plugin"],
    peerDependencies: { "@postern/core": "*", zod: "*" },
  }),
  "index.js": `
    import { definePlugin, reject } from "@postern/core";
    import { z } from "zod";
    export default definePlugin({
      name: "no-mondays",
      apiVersion: 1,
      options: z.strictObject({ sender: z.string().describe("Whom to refuse.") }),
      setup(gateway, { sender }) {
        gateway.hooks.smtp.mail.tap((from) => (from === sender ? reject("No mail on Mondays") : undefined));
      },
    });
  `,
};

describe("packed and installed in an empty project", () => {
  const folder = temporaryFolder();
  const project = join(folder.path, "project");

  async function must(program: string, args: readonly string[], cwd: string): Promise<Ended> {
    const ended = await run(program, args, { cwd, timeoutMs: 240_000 });
    expect(ended.status, `${program} ${args.join(" ")}\n${ended.stdout}\n${ended.stderr}`).toBe(0);
    return ended;
  }

  beforeAll(async () => {
    const tarballs = join(folder.path, "tarballs");
    const author = join(folder.path, "author");
    for (const path of [tarballs, project, author]) mkdirSync(path);
    for (const [name, text] of Object.entries(thirdParty)) writeFileSync(join(author, name), text);
    await must("npm", ["run", "--silent", "build"], repository);
    await must(
      "npm",
      ["pack", "--silent", "--pack-destination", tarballs, ...packages.flatMap((name) => ["-w", `packages/${name}`])],
      repository,
    );
    await must("npm", ["pack", "--silent", "--pack-destination", tarballs], author);
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
    const files = readdirSync(tarballs).map((name) => join(tarballs, name));
    await must("npm", ["install", "--silent", "--no-audit", "--no-fund", ...files], project);
  }, 300_000);

  it("the command runs from there", async () => {
    const { stdout } = await must("npx", ["--no-install", "postern", "--version"], project);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+/);
  });

  it("a gateway starts with the third party's plugin, which decides", async () => {
    const port = await freePort();
    const config = {
      hostname: "mx.example.test",
      listeners: [{ host: "127.0.0.1", port }],
      domains: { virtualMailbox: ["example.test"] },
      queue: { directory: "./queue" },
      plugins: [
        "@postern/plugin-access",
        ["@postern/plugin-transport-maildir", { directory: "./mail" }],
        ["postern-plugin-no-mondays", { sender: "boss@source.test" }],
      ],
    };
    writeFileSync(join(project, "postern.config.json"), JSON.stringify(config), { mode: 0o600 });
    const listing = await must("npx", ["--no-install", "postern", "plugin", "list", "--json"], project);
    expect(listing.stdout).toContain("no-mondays");
    await using gateway = await startService(process.execPath, ["node_modules/.bin/postern", "start"], {
      logFile: join(project, "gateway.log"),
      cwd: project,
      ownGroup: true,
      ready: async () => expect(await ask(port, "")).toMatch(/^220 /),
    });
    expect(gateway.pid).toBeGreaterThan(0);
    expect(await hand(port, { from: "boss@source.test", to: "user@example.test" })).toMatch(
      /^550 5\.7\.1 No mail on Mondays/,
    );
    expect(await hand(port, { from: "friend@source.test", to: "user@example.test" })).toMatch(/^250 /);
  });
});
