import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ConfigProblems } from "../config/problem.ts";
import { PluginError } from "../errors.ts";
import type { PluginSet } from "./set-up.ts";
import { createTableProvider } from "./table-packages.ts";

/** A folder in which a package says that it brings the type `odd`. */
async function installOdd(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "postern-packages-"));
  const modules = join(folder, "node_modules", "postern-plugin-maps-odd");
  await mkdir(modules, { recursive: true });
  await writeFile(
    join(modules, "package.json"),
    JSON.stringify({ name: "postern-plugin-maps-odd", postern: { tables: ["odd"] } }),
  );
  return folder;
}

test("a package that cannot be loaded is named without a place in a config", async () => {
  const folder = await installOdd();
  const problem = { file: "postern.config.json", path: "plugins[0]", message: "plugins[0]: odd.js cannot be imported" };
  const provider = createTableProvider({
    host: { load: () => Promise.reject(new ConfigProblems([problem])) },
    folders: [folder],
    setUp: () => Promise.reject(new Error("not reached")),
  });
  await expect(provider.provide("odd")).rejects.toThrow(
    /^postern-plugin-maps-odd cannot be used: odd\.js cannot be imported$/,
  );
  await provider.close();
  await rm(folder, { recursive: true });
});

test("a package that cannot be made ready is closed, and named", async () => {
  const folder = await installOdd();
  const calls: string[] = [];
  const set: PluginSet = {
    instances: [],
    async ready() {
      calls.push("ready");
      throw new PluginError("odd", "no licence");
    },
    async close() {
      calls.push("close");
    },
  };
  const provider = createTableProvider({
    host: { load: async () => [] },
    folders: [folder],
    setUp: async () => set,
  });
  await expect(provider.provide("odd")).rejects.toThrow(/^postern-plugin-maps-odd cannot be used: .*no licence$/);
  await provider.provide("other");
  await provider.close();
  expect(calls).toEqual(["ready", "close"]);
  await rm(folder, { recursive: true });
});
