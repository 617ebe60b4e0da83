import { expect, test } from "vitest";
import { verifyClientName } from "./client-name.ts";
import { createStaticResolver, type StaticRecords } from "./static-resolver.ts";

const unknown = { name: "unknown", reverseName: "unknown" };
const cases: readonly [what: string, address: string, records: Record<string, StaticRecords>, expected: object][] = [
  [
    "a name that resolves back",
    "192.0.2.1",
    { "192.0.2.1": { ptr: ["mail.test"] }, "mail.test": { a: ["192.0.2.9", "192.0.2.1"] } },
    { name: "mail.test", reverseName: "mail.test", nameStatus: "ok" },
  ],
  [
    "IPv6 in another spelling",
    "2001:db8::1",
    { "2001:db8::1": { ptr: ["mail.test"] }, "mail.test": { aaaa: ["2001:DB8:0:0:0:0:0:1"] } },
    { name: "mail.test", reverseName: "mail.test", nameStatus: "ok" },
  ],
  ["no PTR", "192.0.2.1", {}, { ...unknown, nameStatus: "permanent" }],
  ["PTR not answered", "192.0.2.1", { "192.0.2.1": { ptr: "unavailable" } }, { ...unknown, nameStatus: "temporary" }],
  [
    "a name that resolves elsewhere",
    "192.0.2.1",
    { "192.0.2.1": { ptr: ["mail.test"] }, "mail.test": { a: ["192.0.2.2"] } },
    { name: "unknown", reverseName: "mail.test", nameStatus: "permanent" },
  ],
  [
    "a name that could not be asked",
    "192.0.2.1",
    { "192.0.2.1": { ptr: ["mail.test"] }, "mail.test": { a: "unavailable" } },
    { name: "unknown", reverseName: "mail.test", nameStatus: "temporary" },
  ],
  [
    "PTR names that are no hostnames",
    "192.0.2.1",
    { "192.0.2.1": { ptr: ["evil\r\nname", "192.0.2.1", "a b.test"] } },
    { ...unknown, nameStatus: "permanent" },
  ],
];
test.each(cases)("%s", async (_what, address, records, expected) => {
  expect(await verifyClientName(createStaticResolver(records), address)).toEqual(expected);
});
