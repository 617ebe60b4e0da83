// The authenticator in a gateway: what a table, threads, counters and time make of a login.
import { TableUnavailable, definePlugin, systemClock } from "@postern/core";
import { createFakeClock, createTestGateway, sampleSession, smtp, type TestGateway } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { Failures, type FailureLimits } from "./failures.ts";
import { createHashPool, HashUnavailable } from "./hash-pool.ts";
import auth, { hashPassword, parseHash } from "./index.ts";
import { PasswordTable } from "./password-table.ts";
import { UsualCost } from "./usual-cost.ts";

const cheap = "scrypt ln=4,r=8,p=1";
const hash = hashPassword("right", "scrypt", cheap);
const login = (identity: string, password: string): string =>
  `AUTH PLAIN ${Buffer.from(`\0${identity}\0${password}`).toString("base64")}`;

const passwords = {
  "user@example.test": hash,
  "sha@example.test": `{SHA512-CRYPT}${hashPassword("right", "sha512-crypt", "sha512-crypt 1000")}`,
  "bcrypt@example.test": hashPassword("right", "bcrypt", "bcrypt 4"),
};

const limitless = { perSession: 0, perClient: 0, perIdentity: 0, window: 1000 };
/** Nothing is held back unless said. */
const atOnce = { delay: "0s", longestDelay: "0s", perSession: 0 };

function gatewayWith(options: Readonly<Record<string, unknown>> = {}): Promise<TestGateway> {
  return createTestGateway(
    {
      listeners: [{ name: "test", host: "127.0.0.1", port: 25, auth: "offered", authWithoutTls: true }],
    },
    { plugins: [[auth, { passwords, failures: atOnce, threads: 1, ...options }]] },
  );
}

/** A table that is down; one whose value is no hash. */
const troubled = definePlugin({
  name: "troubled",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    gateway.tables.register("troubled", (name) => ({
      type: "troubled",
      name,
      kind: "indexed",
      trusted: true,
      close: async () => undefined,
      lookup(key) {
        if (name === "down") throw new TableUnavailable("troubled:down", "10.0.0.1 does not answer");
        return key === "user@example.test" ? "{PLAIN}hunter2" : undefined;
      },
    }));
  },
});

describe("logins", () => {
  test.each([
    ["scrypt", "user@example.test", "right", /^235 2\.7\.0 /],
    ["SHA-crypt", "sha@example.test", "right", /^235 /],
    ["bcrypt", "bcrypt@example.test", "right", /^235 /],
    ["any case of the name", "User@EXAMPLE.test", "right", /^235 /],
    ["without its realm", "user", "right", /^235 /],
    ["another case of the password", "user", "Right", /^535 5\.7\.8 Authentication failed$/],
    ["a wrong password", "bcrypt", "wrong", /^535 5\.7\.8 Authentication failed$/],
    ["an unknown name", "nobody", "right", /^535 5\.7\.8 Authentication failed$/],
    ["the hash for a password", "user", hash, /^535 5\.7\.8 /],
  ])("%s", async (_, identity, password, expected) => {
    await using gateway = await gatewayWith({ realm: "example.test" });
    expect(await smtp(gateway).say(login(identity, password))).toMatch(expected);
  });

  test("the session has the name of the table, not the one that was typed", async () => {
    await using gateway = await gatewayWith({ realm: "example.test" });
    await smtp(gateway).say(login("USER", "right")).expect(/^235 /);
    expect(gateway.log.filter((line) => line.includes("sasl_username"))).toEqual([
      expect.stringMatching(/: SASL PLAIN authentication succeeded, sasl_username=user@example\.test$/),
    ]);
  });
});

describe("tables", () => {
  test.each(["!", "*", `!${hash}`])("%.20s locks a name: it sounds like any wrong password", async (value) => {
    await using gateway = await gatewayWith({ passwords: { "user@example.test": value } });
    expect(await smtp(gateway).say(login("user@example.test", "right"))).toMatch(/^535 5\.7\.8 Authentication failed$/);
  });

  test.each([
    ["{PLAIN}", { "user@example.test": "{PLAIN}hunter2" }, /"user@example\.test".*\{PLAIN\} is not taken/],
    ["no hash", { "user@example.test": "hunter2" }, /"user@example\.test".*no hash/],
    ["one that strangers fill", "tcp:127.0.0.1:9", /tcp/],
    ["one that knows every name", `static:${hash}`, /anybody in as anybody/],
  ])("%s keeps the gateway from starting, and nobody reads the value", async (_, table, message) => {
    const error = await gatewayWith({ passwords: table }).then(
      () => undefined,
      (thrown: unknown) => String(thrown),
    );
    expect(error).toMatch(message);
    expect(error).not.toContain("hunter2");
  });

  test.each([
    ["down", /troubled:down.*10\.0\.0\.1/],
    ["wrong", /the value of "user@example\.test": the scheme \{PLAIN\}/],
  ])("%s: 454, and the log says which table", async (name, line) => {
    await using gateway = await createTestGateway(
      {
        listeners: [{ name: "test", host: "127.0.0.1", port: 25, auth: "offered", authWithoutTls: true }],
      },
      { plugins: [troubled, [auth, { passwords: `troubled:${name}`, failures: atOnce, threads: 1 }]] },
    );
    await smtp(gateway).say(login("user@example.test", "hunter2")).expect("454 4.7.0 Temporary authentication failure");
    const log = gateway.log.join("\n");
    expect(log).toMatch(line);
    expect(log).not.toContain("hunter2");
  });
});

describe("failed logins", () => {
  const limits: FailureLimits = {
    delay: 100,
    longestDelay: 1000,
    perSession: 0,
    perClient: 100,
    perIdentity: 0,
    window: 1000,
  };

  test("end the session, whoever they were about", async () => {
    await using gateway = await gatewayWith({ failures: { ...atOnce, perSession: 3 } });
    const talk = smtp(gateway);
    for (const identity of ["user@example.test", "nobody"]) {
      expect(await talk.say(login(identity, "wrong"))).toMatch(/^535 /);
    }
    await talk
      .say(login("user@example.test", "wrong"))
      .expect(/^421 4\.7\.0 /)
      .closed();
    expect(await smtp(gateway).say(login("user@example.test", "right"))).toMatch(/^235 /);
  });

  test("of a network shut it out for a while, with the right password too; others come in", async () => {
    await using gateway = await gatewayWith({ failures: { ...atOnce, perClient: 3 } });
    for (let left = 3; left > 0; left -= 1) {
      await smtp(gateway)
        .say(login(`nobody-${left}`, "x"))
        .expect(/^535 /);
    }
    for (const password of ["wrong", "right"]) {
      expect(await smtp(gateway).say(login("user@example.test", password))).toBe(
        "454 4.7.0 Temporary authentication failure",
      );
    }
    await smtp(gateway, { remoteAddress: "192.0.2.2" }).say(login("user@example.test", "right")).expect(/^235 /);
  });

  test("that a network has tried side by side get no more answers than its limit, a right one neither", async () => {
    await using gateway = await gatewayWith({ failures: { ...atOnce, perClient: 3 }, waiting: 50 });
    const tries = [...Array.from({ length: 12 }, () => "wrong"), "right"];
    const replies = await Promise.all(tries.map((password) => smtp(gateway).say(login("user@example.test", password))));
    const counts = { "535": 0, "454": 0, "235": 0 };
    for (const reply of replies) counts[String(reply).slice(0, 3) as keyof typeof counts] += 1;
    expect(counts).toEqual({ "535": 3, "454": 10, "235": 0 });
  });

  test("count for who does not wait for the answer, too", async () => {
    const notes: string[] = [];
    const gone = new AbortController();
    const increment = (key: string, by: number): number => {
      if (by > 0) notes.push(key);
      return 0;
    };
    const known = new PasswordTable({
      table: { type: "inline", name: "passwords", kind: "indexed", trusted: true, lookup: () => hash },
      pool: {
        async verify(_password, _hash, signal) {
          if (signal === gone.signal) gone.abort();
          throw new HashUnavailable("the client is gone");
        },
      },
      failures: new Failures({ increment }, { ...limits, perIdentity: 1 }),
      realm: undefined,
      countInSession: () => 1,
    });
    const session = sampleSession();
    const credentials = { identity: "user", authzid: "", password: "x", mechanism: "PLAIN" as const, session };
    await expect(known.verify(credentials)).rejects.toThrow(HashUnavailable);
    // A full queue is nobody's fault.
    expect(notes).toEqual([]);
    expect(await known.verify({ ...credentials, signal: gone.signal })).toMatchObject({ kind: "no" });
    expect(notes).toEqual([expect.stringMatching(/^client:/), "identity:user"]);
  });

  test("of an identity slow it, and lock nobody out", async () => {
    await using gateway = await gatewayWith({ failures: { ...atOnce, perIdentity: 2, longestDelay: "30ms" } });
    for (const host of [1, 2]) {
      await smtp(gateway, { remoteAddress: `192.0.2.${host}` })
        .say(login("user@example.test", "x"))
        .expect(/^535 /);
    }
    for (const [password, expected] of [
      ["wrong", /^535 /],
      ["right", /^235 /],
    ] as const) {
      const since = performance.now();
      await smtp(gateway, { remoteAddress: "192.0.2.3" }).say(login("USER@example.test", password)).expect(expected);
      expect(performance.now() - since).toBeGreaterThan(25);
    }
  });

  test("are held back twice as long each, up to the longest, over sessions and over addresses of one network", async () => {
    const counts = new Map<string, number>();
    const increment = (key: string, by: number): number => {
      counts.set(key, (counts.get(key) ?? 0) + by);
      return counts.get(key) ?? 0;
    };
    const failures = new Failures({ increment }, limits);
    const delays: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      delays.push((await failures.note(`2001:db8::${round + 1}`, "x", 1)).delayMs);
    }
    expect(delays).toEqual([100, 200, 400, 800, 1000, 1000]);
    expect((await failures.note("2001:db8:1::1", "x", 3)).delayMs).toBe(400);
    expect([...counts.keys()]).toEqual(["client:2001:db8::/64", "client:2001:db8:1::/64"]);
  });

  test("cannot be counted: 454, and no password is right", async () => {
    const increment = (): never => {
      throw new Error("the store is gone");
    };
    await expect(async () => new Failures({ increment }, limits).standing("192.0.2.1", "x")).rejects.toThrow(/store/);
  });
});

describe("threads", () => {
  test("answer many at once, side by side; beyond the queue nobody waits", async () => {
    const pool = createHashPool({ threads: 2, waiting: 20, deadlineMs: 60_000, clock: systemClock });
    const asked = Array.from({ length: 30 }, (_, index) => pool.verify(index % 2 === 0 ? "right" : "wrong", hash));
    const settled = await Promise.allSettled(asked);
    const answers = settled.map((one) =>
      one.status === "fulfilled" ? one.value : one.reason instanceof HashUnavailable,
    );
    expect(settled.filter(({ status }) => status === "rejected")).toHaveLength(8);
    expect(answers.slice(0, 22)).toEqual(Array.from({ length: 22 }, (_, index) => index % 2 === 0));
    await pool.close();
    await expect(pool.verify("right", hash)).rejects.toThrow(HashUnavailable);
  });

  test("that take too long are ended, and the next question has a new one", async () => {
    const clock = createFakeClock();
    const pool = createHashPool({ threads: 1, waiting: 5, deadlineMs: 400, clock });
    const slow = hashPassword("right", "sha512-crypt", "sha512-crypt 1000").replace("rounds=1000", "rounds=9000000");
    const asked = pool.verify("right", slow).catch(String);
    await expect.poll(() => clock.pending).toBe(1);
    await clock.run(400);
    expect(await asked).toMatch(/no answer within/);
    expect(await pool.verify("right", hash)).toBe(true);
    await pool.close();
  });

  test("whoever is gone gives the place in the queue back", async () => {
    const pool = createHashPool({ threads: 1, waiting: 2, deadlineMs: 60_000, clock: systemClock });
    const gone = new AbortController();
    const first = pool.verify("right", hash);
    const left = [pool.verify("right", hash, gone.signal), pool.verify("right", hash, gone.signal)];
    gone.abort();
    for (const one of left) await expect(one).rejects.toThrow(/gone/);
    expect(await Promise.all([first, pool.verify("right", hash), pool.verify("wrong", hash)])).toEqual([
      true,
      true,
      false,
    ]);
    await pool.close();
  });
});

test("an unknown name is checked like a known one, against a hash of the same cost", async () => {
  const asked: string[] = [];
  const known = new PasswordTable({
    table: {
      type: "inline",
      name: "passwords",
      kind: "indexed",
      trusted: true,
      lookup: (key) => (key === "user" ? hash : undefined),
      entries: () => [{ key: "user", value: hash }],
    },
    // Even a thread that says yes lets nobody in who is in no table.
    pool: { verify: async (_, text) => asked.push(parseHash(text).cost) > 0 },
    failures: new Failures({ increment: () => 0 }, { ...limitless, delay: 0, longestDelay: 0 }),
    realm: undefined,
    countInSession: () => 1,
  });
  await known.check();
  const session = sampleSession();
  const credentials = { authzid: "", password: "x", mechanism: "PLAIN" as const, session };
  expect(await known.verify({ ...credentials, identity: "nobody" })).toMatchObject({ kind: "no" });
  expect(await known.verify({ ...credentials, identity: "user" })).toMatchObject({ kind: "ok", identity: "user" });
  expect(asked).toEqual([cheap, cheap]);
});

test("an unknown name costs what most of the table cost", () => {
  const costs = new UsualCost();
  expect(costs.usual).toBe("scrypt ln=16,r=8,p=1");
  for (const cost of ["bcrypt 4", "bcrypt 5", "bcrypt 5", "bcrypt 4", "bcrypt 5"]) costs.note(cost);
  expect(costs.usual).toBe("bcrypt 5");
});

test("a listener that takes logins needs an authenticator, and is told which", async () => {
  const listeners = [{ name: "test", host: "127.0.0.1", port: 25, auth: "required" as const, authWithoutTls: true }];
  await expect(createTestGateway({ listeners })).rejects.toThrow(/listeners\[0\].*@postern\/plugin-auth does/);
});
