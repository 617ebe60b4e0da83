/** Options of filters: a content filter behind the queue, commands, and an SMTP proxy before the queue. */
import { duration, onError, parseNextHop, serviceAddress, size } from "@postern/core";
import { z } from "zod";
import { hasMacros, unknownMacros } from "./arguments.ts";
import { flagLetters } from "./mail-copy.ts";

const name = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, { error: "expected lower case, digits and hyphens" });

/** Those that run the word behind `-c`. */
const shell = /(?:^|\/)(?:a|ba|da|k|z|fi)?sh$/;

const words = z
  .array(z.string().max(4096))
  .min(1)
  .max(200)
  .superRefine((argv, context) => {
    const [file = ""] = argv;
    if (!/^(?:\/|\.\.?\/)/.test(file) || file.includes("$")) {
      context.addIssue({ code: "custom", message: `expected a path such as "/usr/bin/filter" in place of "${file}"` });
    }
    if (shell.test(file) && argv.some((word, at) => /^-[a-z]*c$/.test(argv[at - 1] ?? "") && hasMacros(word))) {
      context.addIssue({
        code: "custom",
        message: `${file} would run what strangers write: give addresses to a script as words of their own, ["${file}", "-c", "filter \\"$$1\\"", "sh", "\${sender}"]`,
      });
    }
    const [unknown] = unknownMacros(argv);
    if (unknown !== undefined) context.addIssue({ code: "custom", message: `there is no \${${unknown}}` });
    if (argv.some((word) => word.includes("\0"))) context.addIssue({ code: "custom", message: "a NUL in a word" });
  });

const running = {
  user: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/, {
      error: 'expected "user" or "user:group"',
    })
    .optional()
    .describe("As whom it runs, `user` or `user:group`: needed where the gateway runs as root, never root."),
  directory: z.string().min(1).optional().describe("Where it runs; the config's folder by default."),
};

const command = z.strictObject({
  argv: words.describe(
    "The file and its arguments, with `${sender}`, `${recipient}` and the like; no shell reads them.",
  ),
  ...running,
  flags: z
    .string()
    .regex(new RegExp(`^[${flagLetters}]*$`), { error: `expected letters of ${flagLetters}` })
    .default("")
    .describe("As those of pipe(8): B D F O R X h q u . >"),
  eol: z.enum(["lf", "crlf"]).default("lf").describe("How lines end for the command."),
  nullSender: z.string().max(255).default("MAILER-DAEMON").describe("In place of the empty sender."),
  size: size({ min: "1KB" }).optional().describe("Larger messages are returned."),
  timeLimit: duration({ min: "1s" }).default("1000s").describe("Then the command and its children are killed."),
  maxRecipients: z.int().min(1).max(1_000).default(50).describe("Recipients of one run; 1 with the flags D and O."),
  concurrency: z.int().min(1).max(1_000).default(20).describe("Runs at once."),
});

const scanner = z.strictObject({
  argv: words.describe(
    "The file and its arguments, with `${sender}`, `${recipient}` and the like; no shell reads them.",
  ),
  ...running,
  replace: z.boolean().default(false).describe("What it writes to standard output is the message from then on."),
  maxSize: size({ min: "1KB" }).optional().describe("Larger messages fail as `tooLarge`."),
  timeLimit: duration({ min: "1s" }).default("30s").describe("Then the command and its children are killed."),
  concurrency: z.int().min(1).max(1_000).default(10).describe("Runs at once; others wait."),
  onError: onError().optional().describe("What stands when it gives no verdict, in place of the entry's `onError`."),
});

/** Its port must be there. */
const parseProxy = (text: string) => (/:\d+$/.test(text) ? parseNextHop(text) : undefined);

const listeners = z.array(z.string().min(1)).max(100);

export const options = z.strictObject({
  contentFilter: z
    .string()
    .regex(/^[a-z][a-z0-9-]*:.*$/, { error: 'expected "transport:nexthop", such as "smtp:[127.0.0.1]:10025"' })
    .optional()
    .describe(
      "`transport:nexthop` by which every message leaves the queue, unless a FILTER of the policy says otherwise.",
    ),
  except: listeners
    .default([])
    .describe("Listeners, by their names, whose mail is not filtered: where the filter gives it back."),
  commands: z
    .record(name, command)
    .default({})
    .describe("Commands that deliver or filter mail, as the transport `pipe`: next-hop `pipe:NAME`."),
  scanners: z
    .record(name, scanner)
    .default({})
    .describe("Commands that judge mail before it is taken, each a scanner of that name."),
  proxy: z
    .strictObject({
      address: serviceAddress(parseProxy, '"127.0.0.1:10025" or "[::1]:10025"').describe(
        "An SMTP server, `host:port`, that takes the mail while the client waits.",
      ),
      listeners: listeners
        .optional()
        .describe("Only mail of these listeners, by their names; of all by default, but `except`."),
      onError: z
        .enum(["defer", "reject", "skip"])
        .default("defer")
        .describe(
          "When it gives no answer. `skip`: the mail is queued without it. When it may have taken the mail: always defer.",
        ),
      helo: z.string().min(1).max(255).optional().describe("Name given in EHLO; the gateway's hostname by default."),
      connections: z.int().min(1).max(1_000).default(50).describe("Messages at once; others wait."),
      timeouts: z
        .strictObject({
          connect: duration().default("10s").describe("TCP connection."),
          command: duration().default("100s").describe("Each reply, and each piece of the message."),
          end: duration().default("100s").describe("The reply to the final dot."),
        })
        .prefault({})
        .describe("How long to wait for what."),
    })
    .optional()
    .describe(
      "An SMTP proxy before the queue, as Postfix's smtpd_proxy_filter. Needs the plugin transport-smtp before this one.",
    ),
});

export type Options = z.output<typeof options>;
export type CommandOptions = z.output<typeof command>;
export type ScannerOptions = z.output<typeof scanner>;
export type ProxyOptions = NonNullable<Options["proxy"]>;
