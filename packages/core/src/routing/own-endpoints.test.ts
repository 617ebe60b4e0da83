import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";
import { createOwnEndpoints } from "./own-endpoints.ts";

const clock = { monotonic: () => 0 };
const ofMachine = Object.values(networkInterfaces()).flatMap((each) => each ?? []);

function endpoints(listening: readonly { host: string; port: number }[] = [], proxyInterfaces: readonly string[] = []) {
  return createOwnEndpoints({ clock, proxyInterfaces, listening: () => listening });
}

describe("own addresses", () => {
  const cases: readonly (readonly [address: string, own: boolean])[] = [
    ["127.0.0.1", true],
    ["127.8.9.10", true],
    ["0.0.0.0", true],
    ["::1", true],
    ["0:0:0:0:0:0:0:1", true],
    ["::", true],
    ["198.51.100.7", true],
    ["2001:db8:0::7", true],
    ["198.51.100.8", false],
    ["no address", false],
    ...ofMachine.map(({ address }) => [address, true] as const),
  ];
  test.each(cases)("%s: %s", (address, own) => {
    expect(endpoints([], ["198.51.100.7", "2001:db8::7"]).isOwnAddress(address)).toBe(own);
  });
});

describe("own listeners", () => {
  const plain = [
    { host: "127.0.0.1", port: 2525 },
    { host: "192.0.2.1", port: 25 },
  ];
  test.each([
    [plain, "127.0.0.1", 2525, true],
    [plain, "127.0.0.2", 2525, false],
    [plain, "127.0.0.1", 25, false],
    [plain, "192.0.2.1", 25, true],
    [plain, "192.0.2.2", 25, false],
    // Who connects to the unspecified address comes to loopback.
    [plain, "0.0.0.0", 2525, true],
    [plain, "0.0.0.0", 25, false],
    [[{ host: "0.0.0.0", port: 2525 }], "127.0.0.2", 2525, true],
    [[{ host: "::", port: 2525 }], "127.0.0.1", 2525, true],
    [[{ host: "::", port: 2525 }], "::1", 2525, true],
    [[{ host: "::", port: 2525 }], "192.0.2.1", 2525, false],
    // What stands before us hands on what comes to the port of SMTP, and to ours.
    [plain, "198.51.100.7", 25, true],
    [plain, "198.51.100.7", 2525, true],
    [plain, "198.51.100.7", 587, false],
    [[], "127.0.0.1", 25, false],
  ])("%j: %s port %s: %s", (listening, address, port, own) => {
    expect(endpoints(listening, ["198.51.100.7"]).isOwnEndpoint(address, port)).toBe(own);
  });
});
