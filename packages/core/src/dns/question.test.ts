// What one packet may cost.
import { encode, type Answer } from "dns-packet";
import { expect, test } from "vitest";
import { decodeResponse } from "./question.ts";

test("an answer full of aliases is followed only so far", () => {
  const answers = Array.from({ length: 2000 }, (_, at): Answer => ({
    type: "CNAME",
    name: `a${at}.test`,
    ttl: 60,
    data: `a${at + 1}.test`,
  }));
  const packet = encode({
    type: "response",
    id: 7,
    flags: 0x0180,
    questions: [{ type: "A", name: "a0.test", class: "IN" }],
    answers: [...answers, { type: "A", name: "a2000.test", ttl: 60, data: "192.0.2.1" }],
  });
  expect(decodeResponse(packet, 7, "a0.test", "A")).toMatchObject({
    kind: "records",
    records: { answers: undefined, alias: "a10.test" },
  });
});
