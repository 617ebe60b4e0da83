/**
 * How configs and local plugins are imported. They are ESM whatever the `package.json` beside them says (`npm init` writes
 * `"type": "commonjs"`), and what they import of ours is lent to them when their folder has none of its own, so that a config file
 * needs no project round it.
 */
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { sep } from "node:path";

/** What a config or local plugin imports without having installed it. */
const lent: Readonly<Record<string, () => string>> = {
  "@postern/core": () => new URL(import.meta.url.endsWith(".ts") ? "../index.ts" : "../index.js", import.meta.url).href,
  zod: () => import.meta.resolve("zod"),
};
const folders = new Set<string>();
const moduleSyntax = /^\s*(?:import|export)\b/m;

/** Takes the files below `directory` (an absolute path) under these rules; those in a `node_modules` are left alone. */
export function importAsModules(directory: string): void {
  if (folders.size === 0) registerHooks({ resolve, load });
  folders.add(directory.endsWith(sep) ? directory : directory + sep);
}

function isOurs(url: string | undefined): boolean {
  if (url === undefined || !url.startsWith("file:")) return false;
  const path = fileURLToPath(url);
  if (path.includes(`${sep}node_modules${sep}`)) return false;
  return [...folders].some((folder) => path.startsWith(folder));
}

const resolve: import("node:module").ResolveHookSync = (specifier, context, next) => {
  try {
    return next(specifier, context);
  } catch (error) {
    const lend = Object.hasOwn(lent, specifier) ? lent[specifier] : undefined;
    const isMissing = (error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND";
    if (lend === undefined || !isMissing || !isOurs(context.parentURL)) throw error;
    return { url: lend(), shortCircuit: true };
  }
};

const load: import("node:module").LoadHookSync = (url, context, next) => {
  const format = formats[context.format ?? extensionOf(url)];
  if (format === undefined || !isOurs(url)) return next(url, context);
  const loaded = next(url, { ...context, format });
  // Anything without module syntax is CommonJS in earnest.
  return moduleSyntax.test(textOf(loaded.source)) ? loaded : next(url, context);
};

function textOf(source: string | ArrayBuffer | NodeJS.TypedArray | undefined | null): string {
  if (source === undefined || source === null || typeof source === "string") return source ?? "";
  return new TextDecoder().decode(source);
}

/** What CommonJS, or a format yet unknown, would be as a module. */
const formats: Readonly<Record<string, string>> = {
  commonjs: "module",
  "commonjs-typescript": "module-typescript",
  ".ts": "module-typescript",
  ".js": "module",
};

function extensionOf(url: string): string {
  return /\.[a-z]+$/.exec(url)?.[0] ?? "";
}
