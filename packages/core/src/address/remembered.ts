/** A conversion that remembers its last answers. */

/**
 * `convert` with a memory of at most `size` answers. The oldest goes first: cheap, and a flood of names costs no more than
 * the conversions themselves.
 */
export function remembered<T>(convert: (text: string) => T, size: number): (text: string) => T {
  const known = new Map<string, { readonly answer: T }>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) return found.answer;
    const answer = convert(text);
    for (const oldest of known.keys()) {
      if (known.size < size) break;
      known.delete(oldest);
    }
    known.set(text, { answer });
    return answer;
  };
}
