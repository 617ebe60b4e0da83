import { describe, expect, test } from "vitest";
import {
  accessAddressKeys,
  addressKeys,
  domainKeys,
  networkKeys,
  searchOrders,
  unmatchedExtension,
  withExtension,
  type SearchOptions,
  type SearchOrderName,
} from "./search-order.ts";

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

describe("the catalogue", () => {
  const plus: SearchOptions = { recipientDelimiter: "+" };
  const local: SearchOptions = { ...plus, isLocal: (domain) => domain === "d.example" };
  test.for<[name: SearchOrderName, key: string, options: SearchOptions, turns: string[][]]>([
    ["canonical", "u+x@d.example", local, [["u+x@d.example", "u@d.example", "u+x", "u", "@d.example"]]],
    ["virtual", "u+x@e.example", local, [["u+x@e.example", "u@e.example", "@e.example"]]],
    ["virtual", "u+x", local, [["u+x", "u"]]],
    ["virtual", "u-x@e.example", { recipientDelimiter: "+-" }, [["u-x@e.example", "u@e.example", "@e.example"]]],
    // The first character of the set that comes, not the first of the set.
    ["generic", "u-x+y@e.example", { recipientDelimiter: "+-" }, [["u-x+y@e.example", "u@e.example", "@e.example"]]],
    ["relocated", "Postmaster+x@e.example", plus, [["Postmaster+x@e.example", "Postmaster@e.example", "@e.example"]]],
    [
      "bcc",
      "mailer-daemon-x@e.example",
      { recipientDelimiter: "-" },
      [["mailer-daemon-x@e.example", "mailer@e.example", "@e.example"]],
    ],
    ["bcc", "double-bounce@e.example", { recipientDelimiter: "-" }, [["double-bounce@e.example", "@e.example"]]],
    ["bcc", "list-request@e.example", { recipientDelimiter: "-" }, [["list-request@e.example", "@e.example"]]],
    [
      "recipients",
      '"a b+x"@d.example',
      local,
      [
        [
          '"a b+x"@d.example',
          "a b+x@d.example",
          '"a b"@d.example',
          "a b@d.example",
          '"a b+x"',
          "a b+x",
          '"a b"',
          "a b",
          "@d.example",
        ],
      ],
    ],
    ["recipients", "ü@bücher.example", plus, [["ü@bücher.example", "@bücher.example"]]],
    ["mailbox", "u+x@d.example", local, [["u+x@d.example", "u@d.example", "@d.example"]]],
    ["sender-login", "u@d.example", local, [["u@d.example", "u", "@d.example"]]],
    [
      "transport",
      "u+x@a.d.example",
      plus,
      [["u+x@a.d.example", "u@a.d.example", "a.d.example", ".d.example", ".example"], ["*"]],
    ],
    [
      "transport",
      "u@a.d.example",
      { parents: "parent" },
      [["u@a.d.example", "a.d.example", "d.example", "example"], ["*"]],
    ],
    ["transport", "u@[192.0.2.1]", plus, [["u@[192.0.2.1]", "[192.0.2.1]"], ["*"]]],
    ["aliases", "User+Ext@d.example", plus, [["user+ext", "user"]]],
    ["aliases", "OWNER-list", { recipientDelimiter: "-" }, [["owner-list"]]],
    ["sender-relayhost", "u+x@d.example", plus, [["u+x@d.example", "u@d.example", "@d.example"]]],
    ["sender-transport", "u+x@d.example", local, [["u+x@d.example", "u@d.example", "u+x", "u", "@d.example"]]],
    ["sender-transport", "<>", plus, [["<>"]]],
    ["tls-policy", "[mail.example]:587", {}, [["[mail.example]:587"]]],
    ["tls-policy", "mail.example:587", {}, [["mail.example:587"]]],
    ["tls-policy", "a.mail.example", {}, [["a.mail.example", ".mail.example", ".example"]]],
    [
      "sasl-password",
      "[mx.example]:587",
      { sender: "u@d.example", host: "mx.example" },
      [["u@d.example", "@d.example"], ["mx.example"], ["[mx.example]:587"]],
    ],
    ["sasl-password", "mx.example", { sender: "", host: "mx.example" }, [["mx.example"]]],
    ["access", "<>", plus, [["<>"]]],
    [
      "access",
      "u@a.d.example",
      { parents: "dotted" },
      [["u@a.d.example", "a.d.example", ".d.example", ".example", "u@"]],
    ],
    [
      "client",
      "192.0.2.1",
      { clientName: "a.example" },
      [
        ["a.example", "example"],
        ["192.0.2.1", "192.0.2", "192.0", "192"],
      ],
    ],
    ["helo", "a.example", {}, [["a.example", "example"]]],
  ])("%s: %s %o", ([name, key, options, turns]) => {
    expect(searchOrders[name].turns(key, options)).toEqual(turns);
  });
});

test.for<[address: string, key: string, extension: string, propagated: string]>([
  ["u+x@d.example", "u@d.example", "+x", "joe+x@e.example"],
  ["u+x@d.example", "@d.example", "", "joe@e.example"],
  ["u+x@d.example", "u", "+x", "joe+x@e.example"],
  ["u+x@d.example", "u+x@d.example", "", "joe@e.example"],
  ["u+x@d.example", "u+x", "", "joe@e.example"],
  ["u@d.example", "@d.example", "", "joe@e.example"],
  ["u+a b@d.example", "@d.example", "", "joe@e.example"],
  ['"u+a b"@d.example', "u@d.example", "+a b", '"joe+a b"@e.example'],
])("%s found by %s leaves the extension '%s'", ([address, key, extension, propagated]) => {
  expect(unmatchedExtension(address, key, "+")).toBe(extension);
  expect(withExtension("joe@e.example", extension)).toBe(propagated);
});
