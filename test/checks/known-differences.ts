// Where Postfix does something else on purpose of ours: docs/standards.md.
import type { Mail, World } from "./world.ts";

export function differs(_mail: Mail, _world: World): boolean {
  return false;
}

/**
 * Without the Received field on top. Behind the colon of a field that a table gives stands a blank; blanks before a colon stay where Postfix
 * takes them away.
 */
export function normalize(content: string): string {
  return content
    .replace(/^Received: .*\r\n(?:[ \t].*\r\n)*/, "")
    .replaceAll("X-New:no blank\r\n", "X-New: no blank\r\n")
    .replaceAll(/^([\u0021-\u0039\u003b-\u007e]+)[ \t]+:/gm, "$1:");
}
