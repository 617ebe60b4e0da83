/** The package that speaks the milter protocol: not one of the command's own, and loaded when it is asked for. */
import { pathToFileURL } from "node:url";
import { resolvePlugin, type Conversations } from "@postern/core";
import { exitCodes } from "./exit-codes.ts";
import { CommandError } from "./failure.ts";

const milterPackage = "@postern/plugin-milter";

/** What of it is used here. */
export interface MilterPackage {
  readonly expectedAddress: string;
  parseListenAddress(text: string, directory: string): object | undefined;
  createMilterServer(options: {
    readonly conversations: Conversations;
    readonly addresses: readonly object[];
    readonly mode?: number;
    readonly warn: (text: string) => void;
  }): Promise<{ readonly listening: readonly { readonly address: string }[]; close(): Promise<void> }>;
}

/** Sought from these folders, in turn. Throws `CommandError`. */
export async function loadMilterPackage(folders: readonly string[]): Promise<MilterPackage> {
  let file: string;
  try {
    file = resolvePlugin(milterPackage, folders);
  } catch {
    throw new CommandError(
      `postern serve milter needs ${milterPackage}, which is not installed; npm install ${milterPackage}`,
      exitCodes.unavailable,
      "PACKAGE_MISSING",
    );
  }
  return (await import(pathToFileURL(file).href)) as MilterPackage;
}
