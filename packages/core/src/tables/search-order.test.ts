import { describe, expect, test } from "vitest";
import { accessAddressKeys, addressKeys, domainKeys, networkKeys } from "./search-order.ts";

describe("access by mail address", () => {
  test.for<[address: string, delimiter: string, keys: string[]]>([
    ["user@dom.example", "", ["user@dom.example", "dom.example", "example", "user@"]],
    [
      "user+ext@sub.dom.example",
      "+-",
      [
        "user+ext@sub.dom.example",
        "user@sub.dom.example",
        "sub.dom.example",
        "dom.example",
        "example",
        "user+ext@",
        "user@",
      ],
    ],
    ["user+ext@a.example", "", ["user+ext@a.example", "a.example", "example", "user+ext@"]],
    ["", "+", ["<>"]],
    ['"a b"@c.example', "", ['"a b"@c.example', "a b@c.example", "c.example", "example", '"a b"@', "a b@"]],
    ["u@[192.0.2.1]", "", ["u@[192.0.2.1]", "[192.0.2.1]", "u@"]],
    ["postmaster", "", ["postmaster"]],
    ["owner-list-x@d.example", "-", ["owner-list-x@d.example", "d.example", "example", "owner-list-x@"]],
  ])("%s, delimiter '%s'", ([address, delimiter, keys]) => {
    expect(accessAddressKeys(address, delimiter)).toEqual(keys);
  });
});

describe("host names and networks", () => {
  test.for<[name: string, keys: string[]]>([
    ["a.b.example", ["a.b.example", "b.example", "example"]],
    ["localhost", ["localhost"]],
    ["", []],
    [".a.example", [".a.example", "example"]],
    ["a.example.", ["a.example.", "example."]],
    ["192.0.2.1", ["192.0.2.1"]],
    ["[192.0.2.1]", ["[192.0.2.1]"]],
    ["unknown", ["unknown"]],
  ])("%s and its parents", ([name, keys]) => {
    expect(domainKeys(name)).toEqual(keys);
  });

  test.for<[address: string, keys: string[]]>([
    ["1.2.3.4", ["1.2.3.4", "1.2.3", "1.2", "1"]],
    ["2001:db8::1", ["2001:db8::1", "2001:db8:", "2001:db8", "2001"]],
    ["::1", ["::1", ":"]],
  ])("%s and its networks", ([address, keys]) => {
    expect(networkKeys(address)).toEqual(keys);
  });
});

describe("recipient lists and rewriting tables", () => {
  test.for<[address: string, delimiter: string, isLocal: boolean, keys: string[]]>([
    ["u+x@d.example", "+", true, ["u+x@d.example", "u@d.example", "u+x", "u", "@d.example"]],
    ["u+x@d.example", "+", false, ["u+x@d.example", "u@d.example", "@d.example"]],
    ["u@d.example", "", true, ["u@d.example", "u", "@d.example"]],
    ['"a@b"@d.example', "", false, ['"a@b"@d.example', "a@b@d.example", "@d.example"]],
  ])("%s, delimiter '%s', local %s", ([address, recipientDelimiter, isLocal, keys]) => {
    expect(addressKeys(address, { recipientDelimiter, isLocal })).toEqual(keys);
  });
});
