import { expect, test } from "vitest";
import { parseAddress } from "./address.ts";

test.each([
  ["inet:127.0.0.1:8891", { host: "127.0.0.1", port: 8891 }],
  ["inet:[::1]:8891", { host: "::1", port: 8891 }],
  ["inet:milter.example.com:8891", { host: "milter.example.com", port: 8891 }],
  ["inet6:localhost:8891", { host: "localhost", port: 8891, family: 6 }],
  ["inet:8891@localhost", { host: "localhost", port: 8891 }],
  ["inet:8891@[127.0.0.1]", { host: "127.0.0.1", port: 8891 }],
  ["inet6:8891@::1", { host: "::1", port: 8891, family: 6 }],
  ["inet6:8891@[::1]", { host: "::1", port: 8891, family: 6 }],
  ["unix:/run/milter.sock", { path: "/run/milter.sock" }],
  ["local:milter.sock", { path: "/etc/postern/milter.sock" }],
  ["inet:8891", undefined],
  ["inet:127.0.0.1:0", undefined],
  ["inet:70000@127.0.0.1", undefined],
  ["inet:8891@[::1", undefined],
  ["inet:8891@a b", undefined],
  ["127.0.0.1:8891", undefined],
  ["tcp:127.0.0.1:8891", undefined],
  ["unix:", undefined],
])("address %s", (text, expected) => {
  expect(parseAddress(text, "/etc/postern")).toEqual(expected);
});
