/**
 * The shape of a PCRE2 pattern, for the search of literals. Reads what most patterns are made of and gives up at anything
 * else: a pattern without a shape is always tried.
 */
import { edge, gap, type Shape } from "../prefilter/shape.ts";

/** Something that is not read here. */
class Unread extends Error {}

/** `source` holds octets; `undefined` when nothing can be said. */
export function shapeOf(source: string, extended: boolean): Shape | undefined {
  const reader = new Reader(source, extended);
  try {
    return reader.read();
  } catch (error) {
    if (error instanceof Unread) return undefined;
    throw error;
  }
}

class Reader {
  readonly #source: string;
  readonly #extended: boolean;
  #at = 0;

  constructor(source: string, extended: boolean) {
    this.#source = source;
    this.#extended = extended;
  }

  read(): Shape {
    const shape = this.#choice();
    if (this.#at < this.#source.length) throw new Unread();
    return shape;
  }

  #choice(): Shape {
    const options = [this.#sequence()];
    while (this.#source[this.#at] === "|") {
      this.#at++;
      options.push(this.#sequence());
    }
    return options.length === 1 && options[0] !== undefined ? options[0] : { kind: "choice", options };
  }

  #sequence(): Shape {
    const parts: Shape[] = [];
    for (;;) {
      const character = this.#source[this.#at];
      if (character === undefined || character === "|" || character === ")") return { kind: "sequence", parts };
      if (this.#extended && /[\s#]/.test(character)) {
        if (character === "#") throw new Unread();
        this.#at++;
        continue;
      }
      parts.push(this.#repeated(this.#atom(character)));
    }
  }

  #repeated(body: Shape): Shape {
    let shape = body;
    for (;;) {
      if (this.#extended && /\s/.test(this.#source.charAt(this.#at))) throw new Unread();
      const quantifier = /^(?:[*+?]|\{([0-9]+)(,[0-9]*)?\})[?+]?/.exec(this.#source.slice(this.#at, this.#at + 24));
      if (quantifier === null) return shape;
      this.#at += quantifier[0].length;
      const least = quantifier[1] === undefined ? (quantifier[0].startsWith("+") ? 1 : 0) : Number(quantifier[1]);
      shape = { kind: "repeat", body: shape, least };
    }
  }

  #atom(character: string): Shape {
    switch (character) {
      case "^":
      case "$":
        this.#at++;
        return edge;
      case ".":
        this.#at++;
        return gap;
      case "[":
        return this.#class();
      case "(":
        return this.#group();
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
        throw new Unread();
    }
    this.#at++;
    return octet(character);
  }

  #class(): Shape {
    // Members by number or name have no bracket in them; a bracket within is either first, escaped or of a named class.
    const found = /^\[\^?\]?(?:\\[^QE]|\[:\^?[a-z]*:\]|[^\\\]])*\]/s.exec(this.#source.slice(this.#at));
    if (found === null || found[0].includes("[.") || found[0].includes("[=")) throw new Unread();
    this.#at += found[0].length;
    return gap;
  }

  #group(): Shape {
    const rest = this.#source.slice(this.#at, this.#at + 80);
    if (rest.startsWith("(*")) throw new Unread();
    if (rest.startsWith("(?#")) throw new Unread();
    const settings = /^\(\?[imsU-]*\)/.exec(rest)?.[0];
    if (settings !== undefined) {
      this.#at += settings.length;
      return edge;
    }
    const around = /^\(\?<?[=!]/.exec(rest)?.[0];
    const opening =
      around ??
      /^\(\?(?:[imsU-]*:|>|\||P?<[A-Za-z_]\w*>|'[A-Za-z_]\w*')/.exec(rest)?.[0] ??
      (rest.startsWith("(?") ? undefined : "(");
    if (opening === undefined) throw new Unread();
    this.#at += opening.length;
    const body = this.#choice();
    if (this.#source[this.#at] !== ")") throw new Unread();
    this.#at++;
    return around === undefined ? body : edge;
  }

  #escape(): Shape {
    const rest = this.#source.slice(this.#at, this.#at + 80);
    const character = rest.charAt(1);
    if (/^[^A-Za-z0-9]$/s.test(character)) {
      this.#at += 2;
      return octet(character);
    }
    const long =
      /^\\(?:[pP](?:\{[^}]*\}|[A-Z])|x(?:\{[0-9A-Fa-f]+\}|[0-9A-Fa-f]{0,2})|[dDwWsShHvVRXNtnrfea](?!\{))/.exec(rest);
    if (long !== null) {
      this.#at += long[0].length;
      return gap;
    }
    if (/[bBAzZG]/.test(character)) {
      this.#at += 2;
      return edge;
    }
    throw new Unread();
  }
}

/** Octets above ASCII are not relied on: some forms of the subject fold them. */
function octet(character: string): Shape {
  if (character.charCodeAt(0) > 0x7f) return gap;
  return { kind: "octet", octet: character.toLowerCase() };
}
