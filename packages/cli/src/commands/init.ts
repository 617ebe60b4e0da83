/** `postern init`: a first config in the current folder. */
import { writeFileSync, existsSync } from "node:fs";
import { hostname as systemName } from "node:os";
import { join } from "node:path";
import { configNames } from "@postern/core";
import { exitCodes } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { configTemplate } from "../init-template.ts";
import { print, type Output } from "../output.ts";

export function init(options: { force?: boolean; json?: boolean }, cwd: string, output: Output): void {
  const file = join(cwd, "postern.config.ts");
  const present = configNames.map((name) => join(cwd, name)).find((path) => existsSync(path));
  if (present !== undefined && (options.force !== true || present !== file)) {
    const advice = present === file ? "--force overwrites it" : "remove it first";
    throw new CommandError(`${present} is there already; ${advice}`, exitCodes.cannotCreate, "CONFIG_EXISTS");
  }
  const name = systemName().toLowerCase();
  try {
    writeFileSync(file, configTemplate(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(name) ? name : "mx.example.test"), {
      mode: 0o644,
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError(`${file} cannot be written (${code})`, exitCodes.cannotCreate, "CONFIG_NOT_WRITTEN");
  }
  print(output, options.json, { file }, () => `Wrote ${file}\nNext: npx postern check, then npx postern start\n`);
}
