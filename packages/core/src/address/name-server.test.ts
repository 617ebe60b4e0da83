import { expect, test } from "vitest";
import { parseNameServer } from "./name-server.ts";

test.each([
  ["192.0.2.1", "192.0.2.1", 53],
  ["192.0.2.1:5353", "192.0.2.1", 5353],
  ["2001:db8::1", "2001:db8::1", 53],
  ["[2001:db8::1]:5353", "2001:db8::1", 5353],
  ["fe80::1%eth0", "fe80::1%eth0", 53],
])("%s", (text, address, port) => {
  expect(parseNameServer(text)).toEqual({ address, port });
});

test.each(["", "ns.example", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:", "[2001:db8::1", "192.0.2.999"])(
  "%j is none",
  (text) => {
    expect(parseNameServer(text)).toBeUndefined();
  },
);
