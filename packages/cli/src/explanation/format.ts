/** An explanation for people: the conversation, and under each command what was asked for it. At most 100 columns. */
import type {
  Explained,
  ExplainedCommand,
  ExplainedDns,
  ExplainedList,
  ExplainedLookup,
  ExplainedWord,
} from "@postern/core";

const width = 100;

export function formatExplained(explained: Explained): string {
  const { question, client, commands } = explained;
  const who = client === undefined ? question.client : `${client.name}[${client.address ?? ""}]`;
  const facts = [
    client?.inNetworks === true ? "in networks" : "not in networks",
    ...(question.auth === undefined ? [] : [`authenticated as ${question.auth}`]),
    `listener ${question.listener ?? ""}`,
  ];
  const lines = [`${explained.verdict.toUpperCase()}  ${who}, ${facts.join(", ")}`, ""];
  let before: ExplainedCommand | undefined;
  for (const command of commands) {
    lines.push(...formatCommand(command, before));
    before = command;
  }
  lines.push(...formatEnd(explained));
  return lines.map((line) => `${cut(line, width)}\n`).join("");
}

function formatCommand(asked: ExplainedCommand, before: ExplainedCommand | undefined): string[] {
  const { command, said, replies, by, lists, tables, dns } = asked;
  const lines = command === "CONNECT" ? [] : [`C: ${command === "MESSAGE" ? "the message, CRLF.CRLF" : said}`];
  lines.push(...[...formatLookups(tables), ...dns.map(formatDns)].flatMap((line) => wrap(line, "     ")));
  for (const list of lists) {
    const same = before?.command === command && before.lists.some((other) => isSame(list, other));
    // What is asked anew for each recipient is told once.
    if (same && ["connect", "helo", "mail"].includes(list.list)) lines.push(`   ${list.list.padEnd(11)} as before`);
    else lines.push(...formatList(list));
  }
  if (by?.list === "hook") lines.push(`   hook        ${by.path}  plugin ${by.plugin}  objects`);
  lines.push(...formatReplies(replies));
  return lines;
}

function isSame(one: ExplainedList, other: ExplainedList): boolean {
  const facts = ({ list, words }: ExplainedList) =>
    JSON.stringify([list, words.map(({ path, answer, reason }) => [path, answer, reason])]);
  return facts(one) === facts(other);
}

function formatReplies(replies: readonly string[]): string[] {
  const [first = "(the session ended)", ...rest] = replies;
  if (rest.length === 0) return wrap(first, "S: ");
  return [`S: ${first} … ${rest.at(-1) ?? ""}`];
}

/** A reply is told whole. */
function wrap(text: string, prefix: string, hanging = prefix.length): string[] {
  const room = width - Math.max(prefix.length, hanging);
  const lines: string[] = [];
  let rest = text;
  while (rest.length > room) {
    const blank = rest.lastIndexOf(" ", room);
    const end = blank > room / 2 ? blank : room;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest].map((line, index) => (index === 0 ? prefix : " ".repeat(hanging)) + line);
}

function formatList({ list, words }: ExplainedList): string[] {
  const asked = words.filter(({ answer }) => answer !== "not reached");
  const rest = words.length - asked.length;
  const name = list.padEnd(11);
  const lines = asked.flatMap((word) => formatWord(word, `   ${name} `, 0));
  if (rest === 0) return lines;
  const isCore = words.every(({ path }) => path === list);
  return [...lines, `   ${name} ${isCore ? "not reached" : `${rest} ${rest === 1 ? "word" : "words"} not reached`}`];
}

const answers: Readonly<Record<ExplainedWord["answer"], string>> = {
  permit: "PERMIT",
  reject: "REJECT",
  defer: "DEFER",
  none: "-",
  effects: "effects",
  failed: "FAILED",
  "not asked": "not asked",
  "not reached": "not reached",
};

function formatWord(word: ExplainedWord, prefix: string, depth: number): string[] {
  const { path, via, args, answer, reason, effects, ms, tables, dns, warn, words } = word;
  const indent = " ".repeat(prefix.length + 2 + 2 * depth);
  const took = ms >= 1 ? `  ${Math.round(ms)} ms` : "";
  if (path === word.word || path === "scanners") {
    const what = path === "scanners" ? `${word.word}  ` : "";
    const said = answer === "permit" ? "passes" : answers[answer];
    return [
      ...wrap(`${what}${said}${reason === undefined ? "" : `: ${reason}`}`, prefix, indent.length),
      ...effects.flatMap((effect) => wrap(effect, indent)),
    ];
  }
  const place = via.length === 0 ? path : `${via.at(-1) ?? ""} → ${path.replace(/^policy\.classes\./, "")}`;
  const what = [...(warn ? ["warn_if_reject"] : []), word.word, ...args.map(formatArgument)].join(" ");
  const room = 66 - prefix.length + 14 - 2 * depth;
  const wide = Math.max(26, Math.min(place.length, 42));
  const head = `${prefix}${" ".repeat(2 * depth)}${cut(place, wide).padEnd(wide)} ${cut(what, room - wide).padEnd(room - wide)} ${answers[answer]}${took}`;
  return [
    head,
    ...(reason === undefined ? [] : wrap(reason, indent)),
    ...effects.flatMap((effect) => wrap(effect, indent)),
    ...formatLookups(tables).flatMap((line) => wrap(line, indent)),
    ...dns.flatMap((one) => wrap(formatDns(one), indent)),
    ...words.flatMap((inner) => formatWord(inner, prefix, depth + 1)),
  ];
}

function formatArgument(argument: unknown): string {
  return typeof argument === "string" ? argument : JSON.stringify(argument);
}

/** Keys that were not found stand on one line. */
function formatLookups(lookups: readonly ExplainedLookup[]): string[] {
  const lines: string[] = [];
  for (let at = 0; at < lookups.length; at++) {
    const lookup = lookups[at] as ExplainedLookup;
    if (lookup.result !== "not found") {
      lines.push(formatLookup(lookup));
      continue;
    }
    const keys = [lookup.key];
    while (lookups[at + 1]?.table === lookup.table && lookups[at + 1]?.result === "not found") {
      keys.push((lookups[++at] as ExplainedLookup).key);
    }
    lines.push(`${cut(lookup.table, 40)} not found: ${keys.join(", ")}`);
  }
  return lines;
}

function formatLookup({ table, key, result, value, file, line }: ExplainedLookup): string {
  if (result === "not found") return `${cut(table, 40)} not found: ${key}`;
  if (result === "unavailable") return `${cut(table, 40)} key ${key}: UNAVAILABLE ${value ?? ""}`;
  return `${cut(table, 40)} key ${key} → ${value ?? ""}${placeOf({ file, line })}`;
}

function placeOf({ file, line }: { readonly file?: string | undefined; readonly line?: number | undefined }): string {
  return file === undefined ? "" : ` (${file}${line === undefined ? "" : `:${line}`})`;
}

function formatDns({ type, name, answers: found, error, ms }: ExplainedDns): string {
  const said = error === undefined ? found.join(", ") || "none" : `NO ANSWER: ${error}`;
  return `dns ${type} ${name} → ${said}${ms >= 1 ? `  ${Math.round(ms)} ms` : ""}`;
}

function formatEnd({ rewriting, routes, effects, notes }: Explained): string[] {
  const lines: string[] = [];
  const section = (name: string, items: readonly string[]): void => {
    if (items.length > 0) lines.push("", name, ...items.flatMap((item) => wrap(item, "   ", 5)));
  };
  section(
    "Rewriting",
    rewriting.map(({ name, place, before, after, table, key, file, line }) => {
      const by = table === undefined ? "" : `  ${table} key ${key ?? ""}${placeOf({ file, line })}`;
      return `${place.padEnd(18)} ${name}: ${before === "" ? "<>" : before} → ${after.join(", ")}${by}`;
    }),
  );
  section("Effects", effects);
  section(
    "Routes",
    routes.flatMap(({ recipient, route, why, tables }) => [
      `${recipient} → ${route === undefined ? "" : `${route.transport}${route.nextHop === "" ? "" : ` ${route.nextHop}`}  `}(${why})`,
      ...formatLookups(tables).map((line) => `  ${line}`),
    ]),
  );
  section("Log", notes);
  return lines;
}

export function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
