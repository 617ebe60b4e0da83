/** What a pattern's text must look like, as far as it is known: enough to say which literals it cannot do without. */

export type Shape =
  /** One octet, in lower case. */
  | { readonly kind: "octet"; readonly octet: string }
  /** Nothing: an anchor, a look around. */
  | { readonly kind: "edge" }
  /** Anything. */
  | { readonly kind: "gap" }
  | { readonly kind: "sequence"; readonly parts: readonly Shape[] }
  | { readonly kind: "choice"; readonly options: readonly Shape[] }
  | { readonly kind: "repeat"; readonly body: Shape; readonly least: number };

export const edge: Shape = { kind: "edge" };
export const gap: Shape = { kind: "gap" };

interface Known {
  /** All texts that the shape may have; none when there are too many or they are not known. */
  readonly exact: readonly string[] | undefined;
  /** One of these is in the text; none when nothing is known. */
  readonly needed: readonly string[] | undefined;
}

const nothing: Known = { exact: undefined, needed: undefined };
const mostExact = 16;
const mostNeeded = 64;
/** Shorter literals are in too many texts to be worth a search. */
const shortest = 2;

/** Of these literals, in lower case, at least one is in every text that the shape matches. `undefined`: none is known. */
export function requiredLiterals(shape: Shape): readonly string[] | undefined {
  return need(know(shape));
}

function need({ exact, needed }: Known): readonly string[] | undefined {
  return better(exact, needed);
}

/** The list whose shortest literal is the longer one. */
function better(one: readonly string[] | undefined, two: readonly string[] | undefined): readonly string[] | undefined {
  const length = (list: readonly string[] | undefined) =>
    list === undefined || list.length === 0 ? 0 : Math.min(...list.map((literal) => literal.length));
  const best = length(two) > length(one) ? two : one;
  return length(best) >= shortest ? best : undefined;
}

function know(shape: Shape): Known {
  switch (shape.kind) {
    case "octet":
      return { exact: [shape.octet], needed: undefined };
    case "edge":
      return { exact: [""], needed: undefined };
    case "gap":
      return nothing;
    case "repeat":
      return shape.least === 0 ? nothing : { exact: undefined, needed: need(know(shape.body)) };
    case "sequence":
      return knowSequence(shape.parts);
    case "choice":
      return knowChoice(shape.options);
  }
}

function knowSequence(parts: readonly Shape[]): Known {
  let run: readonly string[] = [""];
  let best: readonly string[] | undefined;
  let whole = true;
  for (const part of parts) {
    const known = know(part);
    const { exact } = known;
    if (exact !== undefined && exact.length * run.length <= mostExact) {
      run = run.flatMap((head) => exact.map((tail) => head + tail));
      continue;
    }
    best = better(better(best, run), need(known));
    whole = false;
    run = exact === undefined ? [""] : exact;
  }
  return whole ? { exact: run, needed: undefined } : { exact: undefined, needed: better(best, run) };
}

function knowChoice(options: readonly Shape[]): Known {
  const known = options.map(know);
  const exact = known.flatMap((each) => each.exact ?? []);
  if (known.every((each) => each.exact !== undefined) && exact.length <= mostExact) return { exact, needed: undefined };
  const needed: string[] = [];
  for (const each of known) {
    const literals = need(each);
    if (literals === undefined) return nothing;
    needed.push(...literals);
  }
  return needed.length <= mostNeeded ? { exact: undefined, needed } : nothing;
}
