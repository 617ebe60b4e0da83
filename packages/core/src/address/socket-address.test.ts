import { expect, test } from "vitest";
import { longestSocketPath, parseHostPort, parseSocketAddress } from "./socket-address.ts";

test.each([
  ["unix:/run/clamav/clamd.ctl", { path: "/run/clamav/clamd.ctl" }],
  ["unix:run/clamd.ctl", { path: "/etc/postern/run/clamd.ctl" }],
  [`unix:/${"x".repeat(longestSocketPath - 1)}`, { path: `/${"x".repeat(longestSocketPath - 1)}` }],
  ["tcp:127.0.0.1:3310", { host: "127.0.0.1", port: 3310 }],
  ["tcp:[::1]:3310", { host: "::1", port: 3310 }],
  ["127.0.0.1:3310", { host: "127.0.0.1", port: 3310 }],
  ["av.example.test:65535", { host: "av.example.test", port: 65_535 }],
  ["[fe80::1%eth0]:783", { host: "fe80::1%eth0", port: 783 }],
  ["unix:", undefined],
  ["unix:/a\0b", undefined],
  [`unix:/${"x".repeat(longestSocketPath)}`, undefined],
  ["tcp:3310", undefined],
  ["tcp:127.0.0.1", undefined],
  ["/run/clamav/clamd.ctl", undefined],
  ["127.0.0.1", undefined],
  ["127.0.0.1:0", undefined],
  ["127.0.0.1:70000", undefined],
  ["::1:3310", undefined],
  ["a b:3310", undefined],
  ["a,b:3310", undefined],
  ["3310@localhost", undefined],
  ["http://127.0.0.1:783", undefined],
])("address %j", (text, expected) => {
  expect(parseSocketAddress(text, "/etc/postern")).toEqual(expected);
});

test("a host and a port have no scheme", () => {
  expect(parseHostPort("tcp:127.0.0.1:3310")).toBeUndefined();
});
