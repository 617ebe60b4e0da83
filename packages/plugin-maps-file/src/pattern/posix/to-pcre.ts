/** A POSIX expression in PCRE2's syntax: for those with back references, which no automaton can match. */
import type { Anchor, Expression, ParsedExpression } from "./expression.ts";

const anchors = (newline: boolean): Readonly<Record<Anchor, string>> => ({
  lineStart: newline ? "(?m:^)" : "\\A",
  lineEnd: newline ? "(?m:$)" : "\\z",
  textStart: "\\A",
  textEnd: "\\z",
  wordStart: "(?<!\\w)(?=\\w)",
  wordEnd: "(?<=\\w)(?!\\w)",
  insideWord: "(?<=\\w)(?=\\w)",
  outsideWord: "(?<!\\w)(?!\\w)",
});

/** The pattern has octets, which stand for themselves; letters of both cases are spelled out but in back references. */
export function toPcre({ root }: ParsedExpression, newline: boolean): string {
  const words = anchors(newline);
  return root === undefined ? "" : write(root);

  function write(part: Expression): string {
    switch (part.kind) {
      case "set":
        return writeSet(part.set);
      case "anchor":
        return words[part.anchor];
      case "group":
        return `(${part.body === undefined ? "" : write(part.body)})`;
      case "sequence":
        return part.parts.map(write).join("");
      case "choice":
        return `(?:${part.left === undefined ? "" : write(part.left)}|${part.right === undefined ? "" : write(part.right)})`;
      case "repeat":
        return `(?:${write(part.body)}){${part.least},${part.most === Infinity ? "" : part.most}}`;
      case "backReference":
        return `\\g{${part.index}}`;
    }
  }
}

function writeSet(set: Uint8Array): string {
  let members = "";
  for (let octet = 0; octet < 256; octet++) {
    if (set[octet] !== 1) continue;
    const start = octet;
    while (set[octet + 1] === 1) octet++;
    members += start === octet ? hex(start) : `${hex(start)}-${hex(octet)}`;
  }
  return members === "" ? "(?!)" : `[${members}]`;
}

function hex(octet: number): string {
  return `\\x${octet.toString(16).padStart(2, "0")}`;
}
