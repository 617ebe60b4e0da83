import { describe, expect, test } from "vitest";
import { options } from "./options.ts";

describe("options", () => {
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
    ["no address", {}, /expected an address such as "unix:\/run\/clamav\/clamd.ctl"/],
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
