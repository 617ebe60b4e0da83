import { expect, test } from "vitest";
import { createServerOrder } from "./server-order.ts";

test("a server silent three times in a row is asked last and briefly, until it is heard again", () => {
  const [first, second] = [1, 2].map((last) => ({ address: `192.0.2.${last}`, port: 53 })) as [never, never];
  const order = createServerOrder([first, second], 5_000);
  order.silent(first);
  order.silent(first);
  order.heard(first);
  order.silent(first);
  order.silent(first);
  expect(order.list()).toEqual([first, second]);
  expect(order.waitMs(first)).toBe(5_000);
  order.silent(first);
  expect(order.list()).toEqual([second, first]);
  expect(order.waitMs(first)).toBe(500);
  for (let time = 0; time < 3; time += 1) order.silent(second);
  expect(order.list()).toEqual([first, second]);
  order.heard(second);
  expect(order.list()).toEqual([second, first]);
});
