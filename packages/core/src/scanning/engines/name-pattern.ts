/** `X-Spam*` as a pattern over whole names of header fields, without case. */
export function namePattern(text: string): RegExp {
  const source = text
    .split("*")
    .map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"))
    .join(".*");
  return new RegExp(`^${source}$`, "i");
}
