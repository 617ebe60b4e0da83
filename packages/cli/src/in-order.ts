/** Questions asked some at a time, their answers told in the order of the questions. */
import { isPromise, type MaybePromise } from "@postern/core";

/**
 * `tell` hears each answer as soon as those before it are told; `ask` must not fail. What is answered at once costs no promise. No more
 * than `most` questions wait, and none is taken from `batches` while they do.
 */
export async function answerInOrder<Question, Answer>(
  batches: AsyncIterable<readonly Question[]>,
  most: number,
  ask: (question: Question) => MaybePromise<Answer>,
  tell: (answer: Answer) => void,
): Promise<void> {
  let waiting = 0;
  let last: Promise<void> = Promise.resolve();
  const told: Promise<void>[] = [];
  const tellAfter = async (before: Promise<void>, answer: Promise<Answer>): Promise<void> => {
    const late = await answer;
    await before;
    tell(late);
    waiting -= 1;
  };
  for await (const batch of batches) {
    for (const question of batch) {
      const answer = ask(question);
      if (waiting === 0 && !isPromise(answer)) {
        tell(answer);
        continue;
      }
      waiting += 1;
      last = tellAfter(last, Promise.resolve(answer));
      told.push(last);
      if (told.length >= most) await told.shift();
    }
  }
  await last;
}
