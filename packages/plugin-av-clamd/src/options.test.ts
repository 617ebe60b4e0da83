import { describe, expect, test } from "vitest";
import { parseAddress } from "./address.ts";
import { options } from "./options.ts";

describe("options", () => {
  test.each([
    ["unix:/run/clamav/clamd.ctl", { path: "/run/clamav/clamd.ctl" }],
    ["unix:run/clamd.ctl", { path: "/etc/postern/run/clamd.ctl" }],
    ["tcp:127.0.0.1:3310", { host: "127.0.0.1", port: 3310 }],
    ["tcp:[::1]:3310", { host: "::1", port: 3310 }],
    ["127.0.0.1:3310", { host: "127.0.0.1", port: 3310 }],
    ["av.example.test:3310", { host: "av.example.test", port: 3310 }],
    ["[::1]:3310", { host: "::1", port: 3310 }],
    ["unix:", undefined],
    ["tcp:3310", undefined],
    ["tcp:127.0.0.1", undefined],
    ["/run/clamav/clamd.ctl", undefined],
    ["127.0.0.1", undefined],
    ["127.0.0.1:0", undefined],
    ["127.0.0.1:70000", undefined],
    ["::1:3310", undefined],
  ])("address %s", (text, expected) => {
    expect(parseAddress(text, "/etc/postern")).toEqual(expected);
  });

  test("defaults", () => {
    expect(options.parse({ address: "unix:/x" })).toEqual({
      address: "unix:/x",
      onInfected: "reject",
      signatures: {},
      tagHeader: "X-Virus-Found",
      header: false,
      selfTest: false,
      connections: 20,
    });
  });

  test.each([
    ["a word that is none", { address: "unix:/x", onInfected: "bounce" }, /"reject"\|"defer"\|"quarantine"/],
    [
      "a treatment that is none",
      { address: "unix:/x", signatures: { "X.*": "skip" } },
      /signatures\.X\.\*: .*"ignore"/,
    ],
    ["no address", {}, /address/],
    ["no address in a list", { address: [] }, /address/],
    ["a wrong address", { address: "clamd" }, /unix:\/run\/clamav/],
    ["a wrong one in a list", { address: ["unix:/x", "clamd"] }, /unix:\/run\/clamav/],
    ["a header that is none", { address: "unix:/x", tagHeader: "X Virus" }, /tagHeader/],
    ["an unknown key", { address: "unix:/x", adress: 1 }, /adress/],
  ])("%s is refused", (_, given, message) => {
    const { error } = options.safeParse(given);
    expect(
      JSON.stringify(error?.issues).replaceAll('\\"', '"') +
        error?.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join(),
    ).toMatch(message);
  });
});
