/** `postern config show`: every setting with its value, defaults marked, secrets left out. */
import { describeConfig } from "@postern/core";
import type { LoadedConfig } from "@postern/core";
import { formatColumns, print, type Output } from "../output.ts";

export function showConfig({ file, written, config }: LoadedConfig, json: boolean | undefined, output: Output): void {
  const settings = describeConfig(written, config);
  print(output, json, { file, settings }, () => {
    // Values are not padded: a list of plugins is long, and the mark stands close to its value.
    const rows = settings.map(({ path, value, default: isDefault }) => [
      path,
      `${JSON.stringify(value)}${isDefault ? "  # default" : ""}`,
    ]);
    return `# ${file}\n${formatColumns(rows)}`;
  });
}
