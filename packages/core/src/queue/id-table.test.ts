import { expect, test } from "vitest";
import { IdTable } from "./id-table.ts";
import { seededRandom } from "./seeded-random.ts";

test("random ids come and go as in a Map; a number is nobody else's while its id is here", () => {
  const random = seededRandom(11);
  const pick = (below: number) => Math.floor(random() * below);
  const table = new IdTable();
  const model = new Map<string, number>();
  const name = () => {
    const key = pick(4000);
    // Short, usual, too long for a row, not ASCII, and empty.
    return [`${key}`, `4Bx${String(key).padStart(10, "0")}`, `${key}-${"x".repeat(20)}`, `ä${key}`, ""][
      key % 5
    ] as string;
  };
  for (let step = 0; step < 60_000; step += 1) {
    const id = name();
    const known = model.get(id);
    expect(table.find(id)).toBe(known ?? -1);
    if (known === undefined) {
      const row = table.add(id);
      model.set(id, row);
    } else if (random() < 0.9) {
      expect(table.idOf(known)).toBe(id);
      table.delete(known);
      model.delete(id);
    }
  }
  expect(table.size).toBe(model.size);
  expect(new Set(model.values()).size).toBe(model.size);
  expect([...table.rows()].toSorted((a, b) => a - b)).toEqual([...model.values()].toSorted((a, b) => a - b));
  for (const [id, row] of model) expect([table.find(id), table.idOf(row)]).toEqual([row, id]);
});
