// The system's users and groups: lines as the C library reads them, changes, and the name service behind getent.
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { ConfigError, systemClock, TableUnavailable } from "@postern/core";
import { createFakeClock } from "@postern/testkit";
import { pollMs } from "../follow/followed-file.ts";
import { asksElsewhere, NameService } from "./name-service.ts";
import { group, passwd, readSystemFile } from "./system-file.ts";
import { openSystemTable, openUnix } from "./unix-table.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-unix-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => rmSync(join(folder, "asked"), { force: true }));

const lines: readonly {
  name: string;
  file: typeof passwd;
  text: string;
  expect: Record<string, string | undefined>;
}[] = [
  {
    name: "passwd",
    file: passwd,
    text: "# c\n\nann:x:1000:0100:Ann,,,:/home/ann:/bin/sh\nann:x:1:1::/:\n+nis::::::\nbad:x:one:1::/:\nshort:x:5:6\nBob:x:7:8::/b:\n",
    expect: {
      ann: "ann:x:1000:100:Ann,,,:/home/ann:/bin/sh",
      "+nis": undefined,
      bad: undefined,
      short: "short:x:5:6:::",
      Bob: "Bob:x:7:8::/b:",
      bob: undefined,
    },
  },
  {
    name: "group",
    file: group,
    text: "mail:x:008:ann,bob\nempty:*:9:\nnone:x:\n",
    expect: { mail: "mail:x:8:ann,bob", empty: "empty:*:9:", none: undefined },
  },
];

test.for(lines)("lines of $name", ({ file, text, expect: expected }) => {
  const read = readSystemFile(text, file);
  expect(Object.fromEntries(Object.keys(expected).map((key) => [key, read.get(key)?.line]))).toEqual(expected);
});

test("a new user is there within a second, without a question to getent for those who are there", async () => {
  const clock = createFakeClock();
  const path = join(folder, "passwd");
  writeFileSync(path, "ann:x:1:1::/:\n");
  const asked: string[] = [];
  const elsewhere = {
    ask: async (name: string) => (asked.push(name), name === "ldap" ? "ldap:x:9:9::/:" : undefined),
    close: () => undefined,
  };
  const table = await openSystemTable("passwd.byname", { ...passwd, path }, elsewhere, {
    clock,
    warn: () => undefined,
  });
  expect(await table.lookup("bob")).toBeUndefined();
  expect(await table.lookup("ldap")).toBe("ldap:x:9:9::/:");
  writeFileSync(path, "ann:x:1:1::/:\nbob:x:2:2::/:\n");
  for (let count = 0; count < 3; count++) {
    clock.advance(pollMs);
    while (clock.pending === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  expect(table.lookup("bob")).toBe("bob:x:2:2::/:");
  expect(table.locate?.("bob")).toMatchObject({ file: path, line: 2 });
  expect(asked).toEqual(["bob", "ldap"]);
  await table.close();
  expect(clock.pending).toBe(0);
});

test("another name than passwd.byname or group.byname", async () => {
  const scope = {
    directory: folder,
    clock: systemClock,
    purpose: {},
    warn: () => undefined,
    open: () => Promise.reject(new Error()),
  };
  await expect(openUnix("passwd", scope)).rejects.toThrow(ConfigError);
});

test.for([
  { text: "passwd: files systemd\n", expected: false },
  { text: "passwd:\tcompat # ldap\n", expected: false },
  { text: "group: sss\npasswd: files [NOTFOUND=continue] sss\n", expected: true },
  { text: "group: files\n", expected: false },
])("nsswitch.conf: $text", async ({ text, expected }) => {
  const path = join(folder, "nsswitch.conf");
  writeFileSync(path, text);
  expect(await asksElsewhere("passwd", path)).toBe(expected);
});

test("no nsswitch.conf", async () => {
  expect(await asksElsewhere("passwd", join(folder, "none"))).toBe(false);
});

/** A program in getent's place: its arguments are "passwd -- NAME". */
function program(body: string): string {
  const path = join(folder, "getent");
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

test("getent: a line, nobody, a failure", async () => {
  const service = new NameService(
    "unix:passwd.byname",
    "passwd",
    program('case "$3" in ann) echo "ann:x:1:1::/:";; bob) exit 2;; *) exit 3;; esac'),
  );
  expect(await service.ask("ann")).toBe("ann:x:1:1::/:");
  expect(await service.ask("bob")).toBeUndefined();
  await expect(service.ask("eve")).rejects.toThrow(TableUnavailable);
  service.close();
});

test.for(["0", "-h", "a b", "a@b/../c", "", "x".repeat(300)])("getent is not asked for %j", async (name) => {
  const service = new NameService("unix:passwd.byname", "passwd", program(`touch ${join(folder, "asked")}`));
  expect(await service.ask(name)).toBeUndefined();
  expect(existsSync(join(folder, "asked"))).toBe(false);
});

test("getent: few at a time, and a bound on those who wait", async () => {
  const service = new NameService("unix:passwd.byname", "passwd", program("exec sleep 60"));
  const all = Array.from({ length: 1_010 }, (_, index) => service.ask(`user${index}`).catch((error: unknown) => error));
  const refused = await Promise.race(all.slice(1_005));
  expect(refused).toBeInstanceOf(TableUnavailable);
  service.close();
  for (const outcome of await Promise.all(all)) expect(outcome).toBeInstanceOf(TableUnavailable);
});

test("the real getent", async ({ skip }) => {
  skip(!existsSync("/usr/bin/getent"), "there is no getent");
  const service = new NameService("unix:passwd.byname", "passwd");
  expect(await service.ask("root")).toMatch(/^root:/);
  expect(await service.ask("no-such-user-here")).toBeUndefined();
});
