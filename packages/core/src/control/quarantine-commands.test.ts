// What comes over the socket is checked before the quarantine sees it.
import { expect, test } from "vitest";
import type { Quarantine } from "../quarantine/index.ts";
import { quarantineCommands } from "./quarantine-commands.ts";

const asked: unknown[] = [];
const note =
  (name: string, answer?: unknown) =>
  (...args: unknown[]) => {
    asked.push([name, ...args]);
    return Promise.resolve(answer);
  };
const commands = quarantineCommands({
  search: note("search", { entries: [] }),
  show: note("show"),
  read: note("read", { sizeBytes: 3, octets: Buffer.from([0, 255, 10]) }),
  release: note("release", "new-id"),
  delete: note("delete"),
} as unknown as Quarantine);

const ask = async (name: string, args: Record<string, unknown>): Promise<unknown> =>
  commands[`quarantine ${name}`]?.(args);

test.each<[string, Record<string, unknown>, unknown[]]>([
  [
    "list",
    { subject: "x", since: 5, limit: 7, after: "id", nonsense: 1 },
    ["search", { subject: "x", after: "id", since: 5, limit: 7 }],
  ],
  ["show", { id: "a" }, ["show", "a"]],
  ["release", { ids: ["a"], to: ["b@c.test"] }, ["release", "a", ["b@c.test"]]],
  ["release", { ids: ["a", "a"] }, ["release", "a", undefined]],
  ["delete", { ids: ["a"] }, ["delete", "a"]],
])("%s %j", async (name, args, expected) => {
  asked.length = 0;
  await ask(name, args);
  expect(asked).toEqual([expected]);
});

test("octets come as they are", async () => {
  expect(await ask("read", { id: "a", from: 0, length: 3 })).toEqual({ sizeBytes: 3, octets: "AP8K" });
});

test.each<[string, Record<string, unknown>, string]>([
  ["list", { subject: 7 }, '"subject" is a text'],
  ["list", { from: "x".repeat(1001) }, '"from" is a text of at most 1000 characters'],
  ["list", { since: "yesterday" }, '"since" is a number'],
  ["list", { limit: 0 }, '"limit" is a number from 1 on'],
  ["show", {}, '"id" is a queue id'],
  ["read", { id: "a", from: -1, length: 5 }, '"from" is a number from 0 on'],
  ["read", { id: "a", from: 0, length: 1.5 }, '"length" is a number from 1 on'],
  ["release", { ids: "a" }, '"ids" is a list'],
  ["release", { ids: ["a"], to: "b@c.test" }, '"to" is a list'],
  ["release", { ids: ["a"], to: [] }, '"to" is a list'],
  ["delete", { ids: [1] }, '"ids" is a list'],
])("%s %j is refused", async (name, args, expected) => {
  asked.length = 0;
  await expect(ask(name, args)).rejects.toThrow(expected);
  expect(asked).toEqual([]);
});
