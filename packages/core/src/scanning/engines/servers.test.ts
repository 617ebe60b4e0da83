import { createFakeClock } from "@postern/testkit";
import { expect, test } from "vitest";
import { PosternError, ScannerFailure, type FailureReason } from "../../errors.ts";
import { EngineServers } from "./servers.ts";

const { signal } = new AbortController();

/** Servers by name; those in `broken` fail with their reason. */
function start(names: readonly string[], tryNext?: readonly FailureReason[]) {
  const clock = createFakeClock();
  const passed: string[] = [];
  const servers = new EngineServers(names, {
    clock,
    ...(tryNext === undefined ? {} : { tryNext }),
    passedOver: (name, { reason }) => void passed.push(`${name} ${reason}`),
  });
  const broken = new Map<string, FailureReason>();
  const ask = async (given = signal): Promise<string> => {
    const asked: string[] = [];
    const end = await servers
      .ask(given, (name) => {
        asked.push(name);
        const reason = broken.get(name);
        return reason === undefined ? Promise.resolve("yes") : Promise.reject(new ScannerFailure(reason, name));
      })
      .catch((error: ScannerFailure) => `${error.reason} ${error.message}`);
    return `${asked.join(" ")}: ${end}`;
  };
  return { clock, broken, passed, ask };
}

test("the first that is not down; one that was is asked last for a while", async () => {
  const { clock, broken, ask } = start(["a", "b", "c"]);
  expect(await ask()).toBe("a: yes");
  broken.set("a", "down");
  expect(await ask()).toBe("a b: yes");
  expect(await ask()).toBe("b: yes");
  clock.advance(10_000);
  expect(await ask()).toBe("a b: yes");
  broken.set("b", "down").set("c", "down");
  expect(await ask()).toBe("b c a: down a");
  broken.delete("a");
  expect(await ask()).toBe("a: yes");
  expect(await ask(), "it has answered since").toBe("a: yes");
});

test.each<[reasons: readonly FailureReason[] | undefined, failure: FailureReason, expected: string]>([
  [undefined, "error", "a: error a"],
  [undefined, "timeout", "a: timeout a"],
  [undefined, "tooLarge", "a: tooLarge a"],
  [["down", "timeout", "error"], "error", "a b: yes"],
  [["down", "timeout", "error"], "timeout", "a b: yes"],
  [["down", "timeout", "error"], "encrypted", "a: encrypted a"],
])("with %j, %s", async (reasons, failure, expected) => {
  const { broken, ask } = start(["a", "b"], reasons);
  broken.set("a", failure);
  expect(await ask()).toBe(expected);
});

test("each that another one stands in for is told of, and not the last, whose failure the message has", async () => {
  const { broken, passed, ask } = start(["a", "b", "c"]);
  broken.set("a", "down").set("b", "down");
  await ask();
  expect(passed).toEqual(["a down", "b down"]);
  broken.set("c", "down");
  await ask();
  expect(passed.slice(2)).toEqual(["c down", "a down"]);
});

test("called off nobody else is asked; at the deadline that speaks against the server", async () => {
  const { broken, ask } = start(["a", "b"]);
  broken.set("a", "timeout");
  const gone = AbortSignal.abort();
  const late = AbortSignal.abort(new PosternError("DEADLINE_EXCEEDED", "no answer"));
  expect(await ask(gone)).toBe("a: timeout a");
  broken.clear();
  expect(await ask()).toBe("a: yes");
  broken.set("a", "timeout");
  expect(await ask(late)).toBe("a: timeout a");
  expect(await ask()).toBe("b: yes");
});

test("what is no scanner's failure is thrown on", async () => {
  const servers = new EngineServers(["a", "b"], { clock: createFakeClock() });
  await expect(servers.ask(signal, () => Promise.reject(new TypeError("a mistake")))).rejects.toThrow(TypeError);
});
