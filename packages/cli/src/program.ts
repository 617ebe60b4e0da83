/** The command line: its commands and options, each with `--json`. What they do is in `commands/`. */
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { loadRequired, type ConfigOptions } from "./config-source.ts";
import { status, stop } from "./commands/control.ts";
import { showConfig } from "./commands/config-show.ts";
import { init } from "./commands/init.ts";
import type { CheckOptions } from "./commands/check.ts";
import type { ExplainCommandOptions } from "./commands/explain.ts";
import type { PasswdOptions } from "./commands/passwd.ts";
import type { ServeMilterOptions } from "./commands/serve.ts";
import type { StartOptions } from "./commands/start.ts";
import { listHookPoints, listPlugins, listWords } from "./commands/list.ts";
import { addQuarantineCommands } from "./commands/quarantine.ts";
import { addQueueCommands } from "./commands/queue-desk.ts";
import { addTableCommands } from "./commands/table.ts";
import type { WhyOptions } from "./commands/why.ts";
import { exitCodes } from "./exit-codes.ts";
import { UsageError } from "./failure.ts";
import type { Output } from "./output.ts";
import { version } from "./version.ts";

export interface Surroundings {
  readonly cwd: string;
  readonly output: Output;
  /** Standard input; that of the process unless given. */
  readonly input?: AsyncIterable<Uint8Array>;
}

/** Runs one command to its exit status; throws what went wrong. `--help` and `--version` are successes. */
export async function runCommand(args: readonly string[], surroundings: Surroundings): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program = buildProgram(surroundings, (code) => (exitCode = code));
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return exitCodes.ok;
    // What commander says by showing help: no command was given.
    if (error.code === "commander.help") throw new UsageError("say what to do; postern --help lists the commands");
    throw new UsageError(sentenceOf(error.message));
  }
}

/** commander's message on one line: "error: unknown command 'strat'\n(Did you mean start?)". */
function sentenceOf(message: string): string {
  return message
    .replace(/^error: /, "")
    .replace(/\s*\n\(Did you mean (?:one of )?(.*?)\?\)$/, "; did you mean $1?")
    .replaceAll("\n", " ");
}

function buildProgram(surroundings: Surroundings, exit: (code: number) => void): Command {
  const { cwd, output } = surroundings;
  const program = new Command("postern");
  program
    .description("A mail gateway composed of plugins.")
    .version(version, "-V, --version", "print the version")
    .showSuggestionAfterError(true)
    .exitOverride()
    // An error is told once, by the caller; asked-for help goes to standard output.
    .configureOutput({
      writeOut: (text) => output.write(text),
      writeErr: () => undefined,
      outputError: () => undefined,
    });
  add(program, "init", "write a first postern.config.ts into this folder", false)
    .option("--force", "overwrite the one that is there")
    .action((options: { force?: boolean; json?: boolean }) => init(options, cwd, output));
  add(program, "start", "run the gateway")
    .option("--defaults", "run on the embedded config, with all data in ./var")
    .action(async (options: StartOptions) => (await import("./commands/start.ts")).start(options, cwd, output));
  add(program, "check", "read everything, open the tables, prove what can be proved; listen on nothing")
    .option("--strict", "warnings are errors")
    .action(async (options: ConfigOptions & CheckOptions) =>
      exit(await (await import("./commands/check.ts")).check(await loadRequired(options, cwd), options, output)),
    );
  add(program, "status", "what the running gateway does").action(async (options: ConfigOptions) =>
    status((await loadRequired(options, cwd)).config, options.json, output),
  );
  add(program, "stop", "end the running gateway, sessions and deliveries in hand first").action(
    async (options: ConfigOptions) => stop((await loadRequired(options, cwd)).config, options.json, output),
  );
  add(program, "explain", "what the config would do with a session, and why; nothing is done")
    .option("--client <ip[=name]>", "the client's address, and its name in place of what DNS says", notEmpty)
    .option("--helo <name>", "what it says in EHLO; its name or address unless given", notEmpty)
    .option("--from <address>", 'the sender; "" is the null sender')
    .option("--to <address>", "a recipient; may be said several times", several)
    .option("--auth <user>", "the client has authenticated as this user", notEmpty)
    .option("--tls", "the client speaks TLS")
    .option("--message <file>", "the content, judged too", notEmpty)
    .option("--listener <name>", "the listener that it comes to; the first one unless given", notEmpty)
    .option("--live", "ask policy services and scanners too")
    .option("--diff <config>", "ask this config too, and show only what differs", notEmpty)
    .option("--cases <file>", "many questions, a JSON object a line", notEmpty)
    .action(async (options: ExplainCommandOptions) =>
      exit(await (await import("./commands/explain.ts")).explain(options, cwd, output)),
    );
  add(program, "why", "who refused, by the id in the log, and where in the config it stands")
    .argument("<id>", "a decision's id (d=… in the log), or a message's")
    .option("--log <file>", "the log, with what it was rotated to; standard input unless given", several)
    .option("--now", "ask the config of today the same")
    .action(async (id: string, options: WhyOptions) =>
      exit(await (await import("./commands/why.ts")).why(id, options, surroundings)),
    );
  add(program, "hooks", "each hook: kind, arguments, who taps it, in order").action((options: ConfigOptions) =>
    listHookPoints(options, cwd, output),
  );
  add(program, "words", "each restriction word: arguments, stages, plugin").action((options: ConfigOptions) =>
    listWords(options, cwd, output),
  );

  const config = program.command("config").description("the config");
  add(config, "show", "every setting with its value; no secrets").action(async (options: ConfigOptions) =>
    showConfig(await loadRequired(options, cwd), options.json, output),
  );
  const queue = program.command("queue").description("the queue");
  add(queue, "verify", "read every octet of a queue that no gateway runs on; change nothing").action(
    async (options: ConfigOptions) =>
      (await import("./commands/queue.ts")).verify(
        (await loadRequired(options, cwd)).config,
        "queue",
        options.json,
        output,
      ),
  );
  add(queue, "salvage", "make a damaged queue a sound one; keep aside what cannot be read").action(
    async (options: ConfigOptions) =>
      (await import("./commands/queue.ts")).salvage(
        (await loadRequired(options, cwd)).config,
        "queue",
        options.json,
        output,
      ),
  );
  addQueueCommands(queue, add, surroundings);
  addQuarantineCommands(program, add, surroundings);
  addTableCommands(program, add, surroundings, exit);
  add(program, "passwd", "the hash of a password, for the table of @postern/plugin-auth", false)
    .option("--scheme <name>", "scrypt, bcrypt, sha512-crypt or sha256-crypt", "scrypt")
    .option("--identity <name>", "print a line of a table")
    .option("--check <hash>", "say whether this is the password's hash; exit status 1 when it is not")
    .action(async (options: PasswdOptions) =>
      exit(await (await import("./commands/passwd.ts")).passwd(options, cwd, surroundings)),
    );
  const serve = program.command("serve").description("plugins for another mail server");
  add(serve, "milter", "be a milter of a Postfix or Sendmail")
    .option("--listen <address>", "inet:8899@127.0.0.1 or unix:/path; may be said several times", several)
    .option("--plugin <name[=json]>", "a plugin, with its options as JSON; may be said several times", several)
    .option("--policy <stage=word>", "put a word into a list; may be said several times", several)
    .option("--state <folder>", "where greylists and counters are kept; ./state unless given", notEmpty)
    .option("--mode <rights>", "of unix sockets; 0660 unless given", notEmpty)
    .action(async (options: ServeMilterOptions) =>
      (await import("./commands/serve.ts")).serveMilter(options, cwd, output),
    );
  const plugin = program.command("plugin").description("the plugins");
  add(plugin, "list", "each plugin of the config, in order").action(async (options: ConfigOptions) =>
    listPlugins(await loadRequired(options, cwd), options.json, output),
  );
  return program;
}

function add(parent: Command, name: string, description: string, withConfig = true): Command {
  const command = parent.command(name).description(description).option("--json", "print JSON");
  return withConfig ? command.option("--config <file>", "the config file", notEmpty) : command;
}

function several(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, notEmpty(value)];
}

function notEmpty(value: string): string {
  if (value === "") throw new InvalidArgumentError("It is empty.");
  return value;
}
