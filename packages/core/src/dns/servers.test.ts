import { expect, test } from "vitest";
import { parseResolvConf } from "./servers.ts";

test("resolv.conf: nameserver lines, three at most, the local server when there are none", () => {
  const text =
    "# nameserver 192.0.2.9\nsearch test\n nameserver 192.0.2.1\nnameserver\t::1\nnameserver nonsense\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n";
  expect(parseResolvConf(text).map(({ address }) => address)).toEqual(["192.0.2.1", "::1", "192.0.2.3"]);
  expect(parseResolvConf("options ndots:5\n")).toEqual([{ address: "127.0.0.1", port: 53 }]);
});
