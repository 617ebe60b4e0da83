/** The shape of a POSIX expression, for the search of literals. */
import { edge, gap, type Shape } from "../prefilter/shape.ts";
import type { Expression, ParsedExpression } from "./expression.ts";

export function shapeOf({ root }: ParsedExpression): Shape {
  return root === undefined ? edge : write(root);
}

function write(part: Expression): Shape {
  switch (part.kind) {
    case "set":
      return oneLetter(part.set);
    case "anchor":
      return edge;
    case "group":
      return part.body === undefined ? edge : write(part.body);
    case "sequence":
      return { kind: "sequence", parts: part.parts.map(write) };
    case "choice":
      return {
        kind: "choice",
        options: [part.left, part.right].map((side) => (side === undefined ? edge : write(side))),
      };
    case "repeat":
      if (part.least === 1 && part.most === 1) return write(part.body);
      return { kind: "repeat", body: write(part.body), least: part.least };
    case "backReference":
      return gap;
  }
}

/** A set of one octet, or of a letter in both cases. */
function oneLetter(set: Uint8Array): Shape {
  let letter: string | undefined;
  for (let octet = set.indexOf(1); octet >= 0; octet = set.indexOf(1, octet + 1)) {
    const lower = String.fromCharCode(octet).replace(/[A-Z]/, (upper) => upper.toLowerCase());
    if (letter !== undefined && letter !== lower) return gap;
    letter = lower;
  }
  return letter === undefined ? gap : { kind: "octet", octet: letter };
}
