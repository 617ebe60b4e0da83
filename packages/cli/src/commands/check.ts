/** `postern check`: all that a start does up to listening, then all of it closed again. */
import { checkConfig, type LoadedConfig } from "@postern/core";
import { ownFolder } from "../inspection.ts";
import { namingFile } from "../naming-file.ts";
import { print, type Output } from "../output.ts";

export async function check({ file, config }: LoadedConfig, json: boolean | undefined, output: Output): Promise<void> {
  await namingFile(file, () => checkConfig(config, { searchFrom: [ownFolder] }));
  print(output, json, { ok: true, file }, () => `${file} is right\n`);
}
