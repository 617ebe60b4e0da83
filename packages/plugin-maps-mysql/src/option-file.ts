/**
 * MySQL's own option files (`my.cnf`): the groups [client], [client-server], [client-mariadb] and `option_group`. Only what says how to reach a
 * server is used. `!include` and `!includedir` are followed; a file that cannot be read is an error when it was named.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Names with `-` for `_`, last one wins; "" for an option without a value. */
export type OptionFile = ReadonlyMap<string, string>;

const deepest = 8;
const largestBytes = 1024 * 1024;

/** Throws the error of the file system. */
export function readOptionFile(path: string, groups: ReadonlySet<string>): OptionFile {
  const options = new Map<string, string>();
  readInto(path, groups, options, 0);
  return options;
}

function readInto(path: string, groups: ReadonlySet<string>, options: Map<string, string>, depth: number): void {
  if (depth > deepest) throw new Error("files include each other");
  if (statSync(path).size > largestBytes) throw new Error("too large");
  let wanted = false;
  for (const raw of readFileSync(path, "utf8").split("\n")) {
    const line = raw.trim();
    const [, include, included = ""] = /^!(include|includedir)\s+(.+)$/.exec(line) ?? [];
    if (include === "include") readInto(included, groups, options, depth + 1);
    else if (include === "includedir") {
      for (const name of readdirSync(included).sort()) {
        if (name.endsWith(".cnf")) readInto(join(included, name), groups, options, depth + 1);
      }
    } else if (line.startsWith("[")) wanted = groups.has(line.replace(/^\[\s*|\s*\].*$/g, ""));
    else if (wanted && line !== "" && !/^[#;]/.test(line)) {
      const equals = line.indexOf("=");
      const name = (equals < 0 ? line : line.slice(0, equals))
        .trim()
        .replaceAll("_", "-")
        .replace(/^loose-/, "");
      options.set(name, equals < 0 ? "" : readValue(line.slice(equals + 1)));
    }
  }
}

function readValue(text: string): string {
  const value = text.trim();
  const quoted = /^(["'])(.*?)\1\s*(?:#.*)?$/.exec(value);
  const bare = quoted?.[2] ?? value.replace(/\s+#.*$/, "");
  return bare.replace(/\\([btnrs\\"'])/g, (_, letter: string) => escaped[letter] ?? letter);
}

const escaped: Readonly<Record<string, string>> = { b: "\b", t: "\t", n: "\n", r: "\r", s: " " };
