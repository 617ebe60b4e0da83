import { describe, expect, it } from "vitest";
import { parsePath, takePath } from "./path.ts";

describe("takePath", () => {
  it.each([
    ["<joe@example.test>", "joe@example.test", ""],
    ["<joe@example.test> SIZE=100  BODY=8BITMIME", "joe@example.test", "SIZE=100  BODY=8BITMIME"],
    ["  <>", "", ""],
    ['<"a>b"@example.test> SIZE=1', '"a>b"@example.test', "SIZE=1"],
    ['<"a\\">b"@example.test> X', '"a\\">b"@example.test', "X"],
    ["<@a,@b:joe@c>", "@a,@b:joe@c", ""],
    // Quotes behind the path are none of ours.
    ['<joe@example.test> X="a>b"', "joe@example.test", 'X="a>b"'],
  ])("%s", (argument, path, rest) => {
    expect(takePath(argument)).toEqual({ ok: true, path, rest });
  });

  it.each([
    "",
    "joe@example.test",
    "<joe@example.test",
    '<"joe>',
    '<"joe\\">',
    "<joe@example.test>SIZE=1",
    "<a>>",
    "\t<a>",
  ])("refuses %j", (argument) => {
    expect(takePath(argument)).toEqual({ ok: false, reason: "brackets" });
  });

  it("is linear in what a stranger sends", () => {
    expect(takePath(`<${'"\\"'.repeat(500_000)}`)).toMatchObject({ ok: false });
    expect(parsePath(`@${"a,@".repeat(500_000)}`)).toMatchObject({ ok: false });
  });
});

describe("parsePath", () => {
  const none = { route: [], senderSpecifiedRouting: false };

  it("knows the null sender only where it is allowed", () => {
    expect(parsePath("", { allowNull: true })).toEqual({
      ok: true,
      kind: "null",
      address: "",
      localPart: "",
      domain: "",
      ...none,
    });
    expect(parsePath("")).toEqual({ ok: false, reason: "empty" });
    expect(parsePath("", { allowPostmaster: true })).toEqual({ ok: false, reason: "empty" });
  });

  it("knows postmaster without a domain only where it is allowed", () => {
    const expected = {
      ok: true,
      kind: "postmaster",
      address: "PostMaster",
      localPart: "PostMaster",
      domain: "",
      ...none,
    };
    expect(parsePath("PostMaster", { allowPostmaster: true })).toEqual(expected);
    expect(parsePath("postmaster", { allowNull: true })).toEqual({ ok: false, reason: "noDomain" });
    expect(parsePath("webmaster", { allowPostmaster: true })).toEqual({ ok: false, reason: "noDomain" });
  });

  it("gives the canonical address", () => {
    expect(parsePath('"joe"@EXAMPLE.test')).toEqual({
      ok: true,
      kind: "mailbox",
      address: "joe@example.test",
      localPart: "joe",
      domain: "example.test",
      ...none,
    });
  });

  it.each([
    ["@a.test:joe@c.test", ["a.test"]],
    ["@A.test,@b.test:joe@c.test", ["a.test", "b.test"]],
    ["@[IPv6:2001:db8::1],@[192.0.2.1]:joe@c.test", ["[IPv6:2001:db8::1]", "[192.0.2.1]"]],
  ])("reports the source route of %s", (text, route) => {
    expect(parsePath(text)).toMatchObject({ ok: true, address: "joe@c.test", route, senderSpecifiedRouting: true });
  });

  it.each([
    "user%other.test@ours.test",
    "other.test!user@ours.test",
    '"user@other.test"@ours.test',
    '"a\\%b"@ours.test',
  ])("reports the routing in %s", (text) => {
    expect(parsePath(text)).toMatchObject({ ok: true, route: [], senderSpecifiedRouting: true });
  });

  it.each([
    ["@a.test", "route"],
    ["@a.test,", "route"],
    ["@a.test,b.test:joe@c.test", "route"],
    ["@:joe@c.test", "route"],
    ["@a b:joe@c.test", "route"],
    ["@[192.0.2.1:joe@c.test", "route"],
    ["@a.test:", "empty"],
    ["@a.test:joe", "noDomain"],
    ["@bücher.test:joe@c.test", "nonAscii"],
    ["joe@c.test>", "domain"],
  ])("refuses %s: %s", (text, reason) => {
    expect(parsePath(text)).toEqual({ ok: false, reason });
  });
});
