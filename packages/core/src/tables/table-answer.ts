/** What a table answered, checked: a value, nothing, or why there is no answer. */
import { TableUnavailable } from "../errors.ts";
import { InvalidAnswer, type Failed } from "../guard/guard.ts";

/** Characters of a value; socketmap_max_reply_size is the same. */
const longestValue = 100_000;

/** Whether `checkAnswer` would let it pass; for those who cannot spend a call of the guard. */
export function isSound(answer: unknown): answer is string | undefined {
  if (typeof answer === "string") return answer !== "" && answer.length <= longestValue;
  return answer === undefined;
}

/** The value, checked. An empty one is a mistake of the table, not "not found" (maps_find). */
export function checkAnswer(answer: unknown): string | undefined {
  if (isSound(answer)) return answer;
  if (typeof answer !== "string") throw new InvalidAnswer("a table answers with a string or undefined");
  if (answer === "") throw new InvalidAnswer("empty value; a table answers undefined for what it does not have");
  throw new InvalidAnswer(`value longer than ${longestValue} characters`);
}

export function unavailable(label: string, { error }: Failed): TableUnavailable {
  if (error instanceof TableUnavailable) return error;
  return new TableUnavailable(label, "no answer", { cause: error });
}
