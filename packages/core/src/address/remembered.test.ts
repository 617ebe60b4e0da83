import { expect, it } from "vitest";
import { remembered } from "./remembered.ts";

it("asks again only for what it had to forget", () => {
  const asked: string[] = [];
  const ask = remembered((text) => {
    asked.push(text);
    return text === "" ? null : text.toUpperCase();
  }, 2);
  expect(["a", "", "a", "", "b", "", "a"].map(ask)).toEqual(["A", null, "A", null, "B", null, "A"]);
  expect(asked).toEqual(["a", "", "b", "a"]);
});
