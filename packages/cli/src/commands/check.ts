/** `postern check`: all that a start does up to listening, what can be proved of it, and all of it closed again. */
import {
  checkFolders,
  proveConfig,
  type Finding,
  type FindingLevel,
  type LoadedConfig,
  type ResolvedConfig,
} from "@postern/core";
import { exitCodes } from "../exit-codes.ts";
import { ownFolder } from "../inspection.ts";
import { namingFile } from "../naming-file.ts";
import { print, type Output } from "../output.ts";

export interface CheckOptions {
  readonly json?: boolean;
  /** Warnings are errors. */
  readonly strict?: boolean;
}

/** 0, or 78 when something must be mended. Throws `ConfigError` for what a start would not begin with. */
export async function check({ file, config }: LoadedConfig, options: CheckOptions, output: Output): Promise<number> {
  const warnings: string[] = [];
  let present: ReadonlySet<string> = new Set();
  const progress = createProgress(output);
  // What a proof waits for keeps no process alive.
  const alive = setInterval(() => undefined, 1000);
  let findings: readonly Finding[];
  try {
    findings = await namingFile(file, () =>
      proveConfig(config, {
        searchFrom: [ownFolder],
        warn: (text) => void warnings.push(text),
        look: ({ transports }) => void (present = new Set(transports.map(({ name }) => name))),
        progress: (text) => progress.tell(text),
      }),
    );
  } finally {
    clearInterval(alive);
    progress.end();
  }
  checkFolders(config);
  warnings.push(...findMissingTransports(config, present));
  const of = (level: FindingLevel): readonly Finding[] => findings.filter((finding) => finding.level === level);
  const ok = of("error").length === 0 && (options.strict !== true || warnings.length + of("warning").length === 0);
  print(output, options.json, { ok, file, warnings, findings }, () =>
    [
      ...[...of("proved"), ...of("note")].map((finding) => `${finding.level.padEnd(6)}  ${sentence(finding)}\n`),
      ...(ok ? [`${file} is right\n`] : []),
    ].join(""),
  );
  if (options.json !== true) {
    const level = options.strict === true ? "error" : "warning";
    for (const warning of warnings) output.warn(`postern: ${level}: ${warning}\n`);
    for (const finding of of("warning")) output.warn(`postern: ${level}: ${sentence(finding)}\n`);
    for (const finding of of("error")) output.warn(`postern: error: ${sentence(finding)}\n`);
  }
  return ok ? exitCodes.ok : exitCodes.config;
}

function sentence({ place, message, remedy }: Finding): string {
  return `${place === undefined ? "" : `${place}: `}${message}${remedy === undefined ? "" : `; ${remedy}`}`;
}

/** One line that is written over, for a person who waits. */
function createProgress(output: Output): { tell(text: string): void; end(): void } {
  const patienceMs = 1000;
  let shownAt = performance.now();
  let shown = false;
  return {
    tell(text) {
      if (output.isTerminal !== true || performance.now() - shownAt < patienceMs) return;
      shownAt = performance.now();
      shown = true;
      output.warn(`\r\u001b[K${text}`);
    },
    end() {
      if (shown) output.warn("\r\u001b[K");
    },
  };
}

/** Mail for which nobody would come: it would wait in the queue until its sender is told. */
function findMissingTransports({ domains }: ResolvedConfig, present: ReadonlySet<string>): readonly string[] {
  const needsMaildir = [domains.local, domains.virtualMailbox].some(
    ({ domains: given }) => !Array.isArray(given) || given.length > 0,
  );
  const wanted: readonly (readonly [transport: string, mail: string, isNeeded: boolean])[] = [
    ["maildir", "mail for domains.local and domains.virtualMailbox", needsMaildir],
    ["smtp", "mail for other domains", true],
  ];
  return wanted
    .filter(([transport, , isNeeded]) => isNeeded && !present.has(transport))
    .map(([transport, mail]) => `no plugin provides the transport "${transport}": ${mail} will wait`);
}
