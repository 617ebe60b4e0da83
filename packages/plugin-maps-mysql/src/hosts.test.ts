// Addresses of servers, and MySQL's own option files.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { parseHost } from "./hosts.ts";
import { readOptionFile } from "./option-file.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-mysql-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const defaults = { port: 3306, socket: "/run/s" };

test.for([
  ["db.example", { kind: "inet", host: "db.example", port: 3306 }],
  ["inet:db.example:3307", { kind: "inet", host: "db.example", port: 3307 }],
  ["127.0.0.1:1", { kind: "inet", host: "127.0.0.1", port: 1 }],
  ["[::1]:3307", { kind: "inet", host: "::1", port: 3307 }],
  ["inet:::1", { kind: "inet", host: "::1", port: 3306 }],
  ["unix:/var/run/s", { kind: "unix", path: "/var/run/s" }],
  ["localhost", { kind: "unix", path: "/run/s" }],
  ["inet:LocalHost:3306", { kind: "unix", path: "/run/s" }],
  ["unix:", undefined],
  ["a:b:c", undefined],
  ["a:0", undefined],
  ["a:70000", undefined],
  ["", undefined],
] as const)("host %s", ([text, address]) => {
  expect(parseHost(text, defaults)).toEqual(address === undefined ? undefined : { ...address, text });
});

test("an option file: groups, quotes, comments, includes", () => {
  mkdirSync(join(folder, "more"));
  writeFileSync(join(folder, "more", "a.cnf"), "[client]\nport=3310\n");
  writeFileSync(join(folder, "more", "a.txt"), "[client]\nport=1\n");
  writeFileSync(
    join(folder, "my.cnf"),
    [
      "# comment",
      "[mysqld]",
      "user=daemon",
      "[client]",
      "user = reader   # who",
      'password="a # \\"b\\\\"',
      "ssl_ca='/ca file.pem'",
      "loose-compress",
      "; comment",
      "[ postfix ]",
      "user=mail",
      `!includedir ${join(folder, "more")}`,
    ].join("\n"),
  );
  const read = (...groups: string[]) => Object.fromEntries(readOptionFile(join(folder, "my.cnf"), new Set(groups)));
  const client = { user: "reader", password: 'a # "b\\', "ssl-ca": "/ca file.pem", compress: "", port: "3310" };
  expect(read("client")).toEqual(client);
  expect(read("client", "postfix")).toEqual({ ...client, user: "mail" });
  writeFileSync(join(folder, "loop.cnf"), `!include ${join(folder, "loop.cnf")}\n`);
  expect(() => readOptionFile(join(folder, "loop.cnf"), new Set())).toThrow(/include each other/);
});
