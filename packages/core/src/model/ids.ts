/** Ids for sessions and messages: time first, so that they sort by age, and unique within a host without asking anyone. */

const alphabet = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"; // no vowels, no words

function encode(value: number, width: number): string {
  let rest = value;
  let text = "";
  while (text.length < width) {
    text = (alphabet[rest % alphabet.length] ?? "") + text;
    rest = Math.floor(rest / alphabet.length);
  }
  return text;
}

/**
 * Makes ids like Postfix's long queue ids: 9 characters of microseconds, 4 of a per-process salt.
 * `now` is milliseconds since 1970; ids of one source never repeat, even when the clock stands or goes back.
 */
export function createIdSource(now: () => number, random: () => number): () => string {
  const salt = encode(Math.floor(random() * alphabet.length ** 4), 4);
  let last = 0;
  return () => {
    last = Math.max(last + 1, Math.floor(now() * 1000));
    return encode(last, 9) + salt;
  };
}
