// Every answer and every end of a list, spelled out once more by Postfix's rules instead of by the tables.
import { describe, expect, test } from "vitest";
import { remembered, settlements, steps, type Said } from "./lattice.ts";

const said: readonly Said[] = ["permit", "reject", "defer", "deferIfPermit", "deferIfReject"];

describe("an answer", () => {
  test.for(said.flatMap((kind) => [false, true].map((warned) => ({ kind, warned }))))(
    "$kind, warn_if_reject $warned",
    ({ kind, warned }) => {
      const step = steps[kind][warned ? "warned" : "plain"];
      if (kind === "permit") expect(step).toBe("endPermit");
      else if (kind === "deferIfReject") expect(step).toBe("rememberIfReject");
      else if (warned) expect(step).toBe("warn");
      else expect(step).toBe({ reject: "endReject", defer: "endDefer", deferIfPermit: "rememberIfPermit" }[kind]);
    },
  );
});

describe("the end of a list", () => {
  const verdicts = ["permit", "reject", "defer"] as const;
  const cases = verdicts.flatMap((verdict) =>
    [false, true].flatMap((ifPermit) => [false, true].map((ifReject) => ({ verdict, ifPermit, ifReject }))),
  );
  test.for(cases)("$verdict, deferIfPermit $ifPermit, deferIfReject $ifReject", ({ verdict, ifPermit, ifReject }) => {
    const settled = settlements[verdict][remembered(ifPermit, ifReject)];
    if (verdict === "permit" && ifPermit) expect(settled).toBe("deferIfPermit");
    else if (verdict === "reject" && ifReject) expect(settled).toBe("deferIfReject");
    else expect(settled).toBe(verdict);
  });

  test("no remembered deferral ever makes a refusal a permit", () => {
    for (const row of [settlements.reject, settlements.defer]) expect(Object.values(row)).not.toContain("permit");
  });
});
