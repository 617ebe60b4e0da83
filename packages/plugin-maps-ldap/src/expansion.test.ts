// What a real server cannot be brought to say in a test: groups without end, URLs of every form.
import { describe, expect, test } from "vitest";
import type { Entry, Search, SearchResult } from "./connection.ts";
import { Expansion, NoExpansion, SearchRefused } from "./expansion.ts";
import { isLdapUrl, parseLdapUrl } from "./url.ts";

function entry(attributes: Readonly<Record<string, readonly string[]>>): Entry {
  const list = Object.entries(attributes).map(([name, values]) => ({
    name,
    values: values.map((v) => Buffer.from(v)),
  }));
  return { dn: "", attributes: list };
}

const found = (...entries: Entry[]): SearchResult => ({ status: 0, message: "", entries, referred: false });

const attributes = { terminal: [], leaf: [], ordinary: ["mail"], special: ["member"] };

/** `directory`: names and what stands there. */
function expand(start: SearchResult, directory: (base: string) => SearchResult, recursion = 1000) {
  const asked: Search[] = [];
  const ask = (search: Search) => {
    asked.push(search);
    return Promise.resolve(directory(search.base));
  };
  return { asked, values: new Expansion(ask, attributes, { recursion, size: 0 }).run(start) };
}

test("the order is that of a walk into depth, each name asked for once", async () => {
  const groups: Record<string, Entry> = {
    a: entry({ mail: ["a"], member: ["b", "c"] }),
    b: entry({ member: ["c", "gone"], mail: ["b"] }),
    c: entry({ mail: ["c1", "c2"] }),
  };
  const { asked, values } = expand(found(groups.a as Entry, groups.c as Entry), (base) => {
    const group = groups[base];
    return group === undefined ? { ...found(), status: 32 } : found(group);
  });
  expect(await values).toEqual(["a", "c1", "c2", "b", "c1", "c2", "c1", "c2"]);
  expect(asked.map(({ base }) => base).toSorted()).toEqual(["b", "c", "gone"]);
});

test("thirty levels of two ways each are no answer, and no hour of work", async () => {
  const next = (base: string) => String(Number(base) + 1);
  const { asked, values } = expand(found(entry({ member: ["0"] })), (base) => {
    const level = Number(base);
    return found(entry(level > 30 ? { mail: ["x"] } : { member: [next(base), `0${next(base)}`] }));
  });
  await expect(values).rejects.toThrow(NoExpansion);
  expect(asked.length).toBeLessThan(2000);
});

test("a chain that never ends: the recursion limit", async () => {
  const { asked, values } = expand(
    found(entry({ member: ["0"] })),
    (base) => found(entry({ member: [`${base}0`] })),
    50,
  );
  await expect(values).rejects.toThrow("recursion limit");
  expect(asked).toHaveLength(49);
});

test("itself as a member: no answer, after one search", async () => {
  const { asked, values } = expand(found(entry({ member: ["a"] })), () => found(entry({ member: ["a"] })));
  await expect(values).rejects.toThrow(NoExpansion);
  expect(asked).toHaveLength(1);
});

test("a member that cannot be read is no answer for the group", async () => {
  const { values } = expand(found(entry({ mail: ["a"], member: ["b"] })), () => ({ ...found(), status: 51 }));
  await expect(values).rejects.toThrow(SearchRefused);
});

test("many values: a bound", async () => {
  const many = Array.from({ length: 17 }, () => "x".repeat(1024 * 1024));
  await expect(expand(found(entry({ mail: many })), () => found()).values).rejects.toThrow(NoExpansion);
});

test("more entries than the server was asked for are no answer", async () => {
  const two = found(entry({ mail: ["a"] }), entry({ mail: ["b"] }));
  const expansion = new Expansion(() => Promise.resolve(found()), attributes, { recursion: 1, size: 1 });
  await expect(expansion.run(two)).rejects.toThrow(NoExpansion);
});

describe("LDAP URLs", () => {
  const all = {
    scheme: "ldap",
    host: "",
    port: undefined,
    base: "",
    attributes: [],
    scope: "base",
    filter: "(objectClass=*)",
  };
  const right: Readonly<Record<string, object>> = {
    "ldap://": {},
    "ldap:///dc=x": { base: "dc=x" },
    "LDAPS://h:99/dc=x%2Cy": { scheme: "ldaps", host: "h", port: 99, base: "dc=x,y" },
    "ldap://[::1]:389": { host: "::1", port: 389 },
    "ldapi://%2Frun%2Fx": { scheme: "ldapi", host: "/run/x" },
    "ldap:///b?a,c?one?(x=%28)": { base: "b", attributes: ["a", "c"], scope: "one", filter: "(x=()" },
    "ldap:///b???x=y": { base: "b", filter: "x=y" },
    "ldap:///b??subtree??ext": { base: "b", scope: "sub" },
    "<ldap:///b>": { base: "b" },
    "URL:ldap:///b": { base: "b" },
  };
  for (const [text, parts] of Object.entries(right)) {
    test(text, () => expect(parseLdapUrl(text)).toEqual({ ...all, ...parts }));
  }
  for (const text of [
    "ldap:///b??all",
    "ldap:///%zz",
    "ldap:///a?b?sub?c?d?e",
    "<ldap:///b",
    "ldap://h:x/",
    "ldap:///b????!critical",
  ]) {
    test(`${text}: wrong`, () => expect(() => parseLdapUrl(text)).toThrow(SyntaxError));
  }
  test("none", () => {
    expect(["http://x", "cn=ldap://x", "ldap:x", ""].map(isLdapUrl)).toEqual([false, false, false, false]);
  });
});
