// What strangers wrote, in JSON that somebody looks at.
import { expect, test } from "vitest";
import { print } from "./output.ts";

test("JSON has nothing in it that a terminal takes for a command, and says the same", () => {
  const data = { headers: "\u001b[2J \u009b2J \u007f \u0085 \u202e \u2066 \u2028 ü \u{1f600}", id: ["x"] };
  let written = "";
  print({ write: (text) => void (written += text), warn: () => undefined }, true, data, () => "");
  expect(JSON.parse(written)).toEqual(data);
  expect(written).toMatch(/^[\n\u0020-\u007e\u00a0-\u2027\u2030-\u2065\u206a-\uffff]+$/);
  expect(written).toContain("\\u009b2J");
  expect(written).toContain("ü \u{1f600}");
});
