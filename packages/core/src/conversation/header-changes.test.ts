import { describe, expect, test } from "vitest";
import { headerChanges, type Field, type HeaderChange } from "./header-changes.ts";

function field(text: string): Field {
  const colon = text.indexOf(":");
  return { name: colon < 0 ? "" : text.slice(0, colon), raw: Buffer.from(`${text}\r\n`) };
}

const rawOf = (name: string, value: Buffer): string => `${name}:${value.toString()}`;

/** As a mail server does it. `countsDeleted`: fields that are gone still have their number, as in Sendmail. */
function carryOut(before: readonly string[], changes: readonly HeaderChange[], countsDeleted: boolean): string[] {
  const list: (string | { readonly gone: string })[] = [...before];
  const nameOf = (item: (typeof list)[number]): string =>
    (typeof item === "string" ? item : item.gone).split(":")[0]?.toLowerCase() ?? "";
  const find = (name: string, nth: number): number => {
    let seen = 0;
    return list.findIndex((item) => {
      if (nameOf(item) !== name.toLowerCase() || (typeof item !== "string" && !countsDeleted)) return false;
      return (seen += 1) === nth;
    });
  };
  for (const change of changes) {
    if (change.kind === "append") list.push(rawOf(change.name, change.value));
    else if (change.kind === "insert") {
      let at = 0;
      for (let standing = 0; at < list.length && standing < change.index; at += 1) {
        if (typeof list[at] === "string") standing += 1;
      }
      list.splice(at, 0, rawOf(change.name, change.value));
    } else {
      const at = find(change.name, change.nth);
      expect(at, JSON.stringify(change)).toBeGreaterThanOrEqual(0);
      const [old] = list.splice(at, 1);
      if (change.kind === "change") list.splice(at, 0, rawOf(change.name, change.value));
      else if (countsDeleted) list.splice(at, 0, { gone: old as string });
    }
  }
  return list.filter((item) => typeof item === "string");
}

const mail = ["Received: a", "Received: b", "From: x", "To: y", "Subject: s", "X: 1", "X: 2", "X: 3"];

describe("what is carried out gives the list that was wanted", () => {
  test.each<[what: string, after: readonly string[], kinds: string]>([
    ["nothing", mail, ""],
    ["on top", ["New: 1", ...mail], "insert0"],
    ["two on top", ["New: 1", "New: 2", ...mail], "insert0 insert1"],
    ["at the end", [...mail, "New: 1"], "append"],
    ["in between", [...mail.slice(0, 3), "New: 1", ...mail.slice(3)], "insert3"],
    ["another value", mail.with(4, "Subject: t"), "change1"],
    ["another case of the name", mail.with(4, "SUBJECT: s"), "change1"],
    ["one gone", mail.toSpliced(4, 1), "delete1"],
    ["the middle of three", mail.toSpliced(6, 1), "delete2"],
    ["all of a name", mail.slice(0, 5), "delete3 delete2 delete1"],
    ["first and last of a name", mail.toSpliced(7, 1).toSpliced(5, 1), "delete3 delete1"],
    ["changed and gone", [...mail.slice(0, 5), "X: 9", "X: 3"], "delete2 change1"],
    ["in another order", [...mail.slice(0, 5), "X: 3", "X: 2", "X: 1"], "delete2 delete1 append append"],
    [
      "everything else",
      ["A: 1", "B: 2"],
      "delete3 delete2 delete1 delete1 delete1 delete1 delete2 delete1 append append",
    ],
    ["nothing left", [], "delete3 delete2 delete1 delete1 delete1 delete1 delete2 delete1"],
  ])("%s", (_, after, kinds) => {
    const changes = headerChanges(mail.map(field), after.map(field));
    const told = changes.map((change) => {
      if (change.kind === "append") return "append";
      return change.kind + (change.kind === "insert" ? change.index : change.nth);
    });
    expect(told.join(" ")).toBe(kinds);
    expect(carryOut(mail, changes, false)).toEqual(after);
    expect(carryOut(mail, changes, true)).toEqual(after);
  });

  test("lists by chance", () => {
    let seed = 7;
    const pick = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let round = 0; round < 2_000; round += 1) {
      const make = () => `${"ABC"[pick(3)]}: ${pick(3)}`;
      const before = Array.from({ length: pick(9) }, make);
      const after = before.flatMap((line) => (pick(4) === 0 ? [] : pick(4) === 0 ? [make(), line] : [line]));
      if (pick(2) === 0) after.push(make());
      const changes = headerChanges(before.map(field), after.map(field));
      expect(carryOut(before, changes, pick(2) === 0), `${before.join()} -> ${after.join()}`).toEqual(after);
    }
  });

  test("what is too much to compare is taken out and put in again", () => {
    const before = Array.from({ length: 2_000 }, (_, at) => `A${at}: x`);
    const after = before.toReversed();
    expect(carryOut(before, headerChanges(before.map(field), after.map(field)), false)).toEqual(after);
  });
});

test("a folded value keeps its folding, and octets that are no text", () => {
  const raw = Buffer.from("X: a\r\n\tb\xff\r\n", "latin1");
  expect(headerChanges([], [{ name: "X", raw }])).toEqual([
    { kind: "insert", index: 0, name: "X", value: Buffer.from(" a\r\n\tb\xff", "latin1") },
  ]);
});
