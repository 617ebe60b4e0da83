import { expect, test } from "vitest";
import { answerInOrder } from "./in-order.ts";

test("answers in the order of the questions, never more than some at a time, none taken meanwhile", async () => {
  const answers = new Map<number, (answer: number) => void>();
  let taken = 0;
  async function* batches() {
    for (let first = 0; first < 20; first += 2) {
      taken = first + 2;
      yield [first, first + 1];
    }
  }
  const told: number[] = [];
  const ask = (question: number) =>
    question % 5 === 4 && question < 10 ? question : new Promise<number>((resolve) => answers.set(question, resolve));
  let most = 0;
  const done = answerInOrder(batches(), 4, ask, (answer) => told.push(answer));
  while (told.length < 20) {
    await new Promise(setImmediate);
    most = Math.max(most, answers.size);
    expect(taken).toBeLessThanOrEqual(told.length + 8);
    // The latest first.
    const [latest] = [...answers.keys()].toReversed();
    if (latest === undefined) continue;
    answers.get(latest)?.(latest);
    answers.delete(latest);
  }
  await done;
  expect(told).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect(most).toBe(4);
});

test("what is answered at once is told at once, without waiting for more", async () => {
  const told: string[] = [];
  async function* batches() {
    yield ["a"];
    expect(told).toEqual(["a"]);
    yield ["b"];
    expect(told).toEqual(["a", "b"]);
  }
  await answerInOrder(
    batches(),
    4,
    (question) => question,
    (answer) => told.push(answer),
  );
});

test("who asks for questions and fails is heard", async () => {
  async function* batches() {
    yield ["a"];
    throw new Error("the input broke");
  }
  await expect(
    answerInOrder(
      batches(),
      4,
      async (question) => question,
      () => undefined,
    ),
  ).rejects.toThrow("the input broke");
});
