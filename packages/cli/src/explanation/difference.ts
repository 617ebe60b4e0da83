/** What two configs say differently of one question: verdicts, who decided, rewriting, routes. Times and ids are no difference. */
import type { Explained } from "@postern/core";
import { cut } from "./format.ts";

export interface Difference {
  /** `user@example.test: reply`. */
  readonly what: string;
  readonly here: string;
  readonly there: string;
}

export function differences(here: Explained, there: Explained): readonly Difference[] {
  const found: Difference[] = [];
  const compare = (what: string, one: string, other: string): void => {
    if (one !== other) found.push({ what, here: one, there: other });
  };
  compare("verdict", here.verdict, there.verdict);
  for (const [index, recipient] of here.recipients.entries()) {
    const other = there.recipients[index];
    compare(`${recipient.address}: reply`, plain(recipient.reply), plain(other?.reply ?? ""));
    compare(`${recipient.address}: decided by`, deciderOf(recipient), deciderOf(other));
  }
  // Replies that are not a recipient's: the greeting and the extensions.
  for (const name of ["CONNECT", "HELO", "MAIL", "DATA", "MESSAGE"]) {
    const said = ({ commands }: Explained) =>
      plain(commands.find(({ command }) => command === name)?.replies.join("\n") ?? "");
    // Where only one of them comes so far, the recipients' replies tell it.
    const isTold = [here, there].some((one) => one.recipients.some(({ reply }) => plain(reply) === said(one)));
    if (!isTold && said(here) !== "" && said(there) !== "") compare(name, said(here), said(there));
  }
  const steps = ({ rewriting }: Explained) =>
    rewriting.map(({ place, name, before, after }) => `${place} ${name}: ${before} → ${after.join(", ")}`).join("\n");
  compare("rewriting", steps(here), steps(there));
  const routes = ({ routes: all }: Explained) =>
    all
      .map(({ recipient, route, why }) =>
        route === undefined ? `${recipient}: ${why}` : `${recipient} → ${route.transport} ${route.nextHop}`,
      )
      .join("\n");
  compare("routes", routes(here), routes(there));
  compare("effects", here.effects.join("\n"), there.effects.join("\n"));
  return found;
}

/** Without what is new each time. */
function plain(reply: string): string {
  return reply.replace(/queued as \S+/, "queued as …").replace(/ \[d=\S+\]$/, "");
}

function deciderOf(recipient: Explained["recipients"][number] | undefined): string {
  if (recipient?.by === undefined) return "-";
  const { word, path } = recipient.by;
  return word === path ? word : `${word} (${path})`;
}

const column = 48;

/** Side by side; a long text on lines of its own. */
export function formatDifferences(found: readonly Difference[], files: readonly [string, string]): string {
  const rows = [`${cut(files[0], column).padEnd(column)}  ${cut(files[1], column)}`];
  for (const { what, here, there } of found) {
    rows.push("", what);
    const left = lines(here);
    const right = lines(there);
    for (let at = 0; at < Math.max(left.length, right.length); at++) {
      rows.push(`${(left[at] ?? "").padEnd(column)}  ${right[at] ?? ""}`.trimEnd());
    }
  }
  return rows.map((row) => `${row}\n`).join("");
}

function lines(text: string): string[] {
  if (text === "") return ["-"];
  return text.split("\n").flatMap((line) => {
    const parts: string[] = [];
    for (let rest = line; rest !== "";) {
      const blank = rest.length > column ? rest.lastIndexOf(" ", column) : rest.length;
      const end = blank > column / 2 ? blank : Math.min(column, rest.length);
      parts.push(rest.slice(0, end));
      rest = rest.slice(end).trimStart();
    }
    return parts.length === 0 ? [""] : parts;
  });
}
