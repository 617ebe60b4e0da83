// ldap: answers as the real postmap does, over the same directory, with generated entries, groups and keys.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith, ldifEntry, slapdBase, startSlapd, temporaryFolder, type Slapd } from "../services/index.ts";
import { ask, compare, openLdap, Postmap, unavailable, writeCf, type Parameters } from "./ldap-tables.ts";

const random = randomFrom(seed);
const below = (count: number) => Math.floor(random() * count);
const pick = <Item>(items: readonly Item[]): Item => items[below(items.length)] as Item;
const several = <Item>(most: number, make: () => Item): Item[] => Array.from({ length: below(most + 1) }, make);

const people = `ou=people,${slapdBase}`;
const domains = `ou=domains,${slapdBase}`;
const groups = `ou=groups,${slapdBase}`;
const detours = `ou=detours,${slapdBase}`;

/** What a stranger may put into an address to get out of a filter or a name. */
const pieces = [
  ..."abcxyzABC019.-_=".split(""),
  ...'*()\\,+"#;<>&|!~:/?%$@ '.split(""),
  "ä", "ß", "漢", "😀", "é", "\u00a0", "\t", "\u0001",
  "*)", ")(", "*)(uid=*", "\\2a", "\\00", "%s", "%2a", "dc=example", ")(|(mail=*", "a*b", "#x", " #", "\\,", "  ",
]; // prettier-ignore

const oddDomains = ["a.test", "b.example.test", "c.d.e.test", "x+y.test", "b,c.test", "#z.test", "q\"r.test", "a=b.test", "s t.test", "<u>;v.test", "bück.test", "back\\slash.test", "test"]; // prettier-ignore

function makeLocal(): string {
  return Array.from({ length: 1 + below(4) }, () => pick(pieces)).join("");
}

interface Person {
  readonly uid: string;
  readonly addresses: readonly string[];
}

function makePeople(count: number): { readonly persons: readonly Person[]; readonly ldif: string } {
  const persons: Person[] = [];
  const parts: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const uid = `p${index}`;
    const addresses = [...new Set([`${uid}@a.test`, ...several(3, () => `${makeLocal()}@${pick(oddDomains)}`)])];
    const distinct = new Map(addresses.map((address) => [address.toLowerCase().trim().replace(/ +/g, " "), address]));
    persons.push({ uid, addresses: [...distinct.values()] });
    parts.push(
      ldifEntry(`uid=${uid},${people}`, {
        objectClass: ["account", "mailThing"],
        uid,
        mailacceptinggeneralid: [...distinct.values()],
        ...(random() < 0.9 ? { maildrop: [`${uid}@drop.test`, ...several(2, () => `${uid}-${below(1e6)}`)] } : {}),
        ...(random() < 0.5 ? { mail: `${uid}@mail.test` } : {}),
        ...(random() < 0.3 ? { "description;lang-de": `de ${uid}`, description: `plain ${uid}` } : {}),
        ...(random() < 0.2 ? { mailHost2: [`host${index % 7}.test`, "bare"] } : {}),
      }),
    );
  }
  return { persons, ldif: parts.join("") };
}

/** Names in a DN by RFC 4514, in another manner than the one under test. */
function escapeName(text: string): string {
  return [...Buffer.from(text)].map((octet) => `\\${octet.toString(16).padStart(2, "0")}`).join("");
}

function makeDomains(): string {
  return oddDomains
    .map(
      (domain) =>
        ldifEntry(`ou=${escapeName(domain)},${domains}`, { objectClass: "organizationalUnit", ou: domain }) +
        ldifEntry(`uid=post,ou=${escapeName(domain)},${domains}`, {
          objectClass: ["account", "mailThing"],
          uid: "post",
          mailacceptinggeneralid: [`post@${domain}`, "post"],
          maildrop: `post of ${domain}`,
        }),
    )
    .join("");
}

const groupCount = 40;

/** Groups of people, of groups, of what is not there, and of themselves. */
function makeGroups(persons: readonly Person[]): string {
  const person = () => `uid=${pick(persons).uid},${people}`;
  const later = (index: number) => `uid=g${Math.min(index + 1 + below(4), groupCount - 1)},${groups}`;
  const url = (dn: string) => `ldap:///${encodeURIComponent(dn)}`;
  const member = (index: number): string => {
    const kind = random();
    if (kind < 0.3) return person();
    if (kind < 0.55) return index === groupCount - 1 ? person() : later(index);
    if (kind < 0.6) return `uid=nobody${below(9)},${people}`;
    if (kind < 0.63) return `uid=g${below(groupCount)},${groups}`;
    if (kind < 0.7) return url(person());
    if (kind < 0.76)
      return `${url(people)}?${pick(["", "mail", "MAILDROP,mail", "cn", "members", "maildrop;lang-de"])}?sub?(uid=p${below(30)}*)`;
    if (kind < 0.8) return `${url(groups)}?members,mail?one?(uid=g${Math.min(index + 1 + below(3), groupCount - 1)})`;
    if (kind < 0.84) return `ldap://elsewhere.test/${encodeURIComponent(person())}`;
    if (kind < 0.87) return `${url(person())}?mail,maildrop??objectClass=mailThing`;
    if (kind < 0.9) return `<URL:${url(person())}>`;
    if (kind < 0.92) return pick(["not a name", "ldap:///x?y?wrongscope", `${url(people)}??sub?(broken`]);
    if (kind < 0.96) return `${url(people)}?maildrop?one?(mailacceptinggeneralid=p${below(60)}@a.test)`;
    return `${url(people)}??base`;
  };
  return Array.from({ length: groupCount }, (_, index) => {
    const members = new Set(several(4, () => member(index)));
    return ldifEntry(`uid=g${index},${groups}`, {
      objectClass: ["account", "mailThing"],
      uid: `g${index}`,
      mailacceptinggeneralid: `g${index}@groups.test`,
      ...(members.size > 0 ? { members: [...members] } : {}),
      ...(random() < 0.3 ? { mail: `group${index}@mail.test` } : {}),
      ...(random() < 0.15 ? { maildrop: `terminal${index}@drop.test` } : {}),
      ...(random() < 0.4
        ? { mailMember: several(2, () => `outside${below(100)}@else.test`).concat("o@else.test") }
        : {}),
    });
  }).join("");
}

/** A group of the given depth by names, one that holds itself by names, and one by URLs. */
function makeChains(): string {
  const entry = (uid: string, ...members: string[]) =>
    ldifEntry(`uid=${uid},${groups}`, {
      objectClass: ["account", "mailThing"],
      uid,
      mailacceptinggeneralid: `${uid}@groups.test`,
      mailMember: `${uid}@member.test`,
      ...(members.length > 0 ? { members } : {}),
    });
  const name = (uid: string) => `uid=${uid},${groups}`;
  return [
    entry("chain1", name("chain2")),
    entry("chain2", name("chain3")),
    entry("chain3", name("chain4"), name("chain4b")),
    entry("chain4"),
    entry("chain4b"),
    entry("self", name("self")),
    entry("ring1", name("ring2")),
    entry("ring2", name("ring3")),
    entry("ring3", name("ring1")),
    entry("urls", `ldap:///${name("urls2")}?members`),
    entry("urls2", `ldap:///${name("urls")}?members?base`),
    entry("capitals1", name("capitals2").toUpperCase()),
    entry("capitals2", name("capitals1").toUpperCase()),
    entry("stopped", `ldap:///${name("ring1")}?mailMember`),
  ].join("");
}

/** Aliases of people, whole branches of them, and entries that are elsewhere. */
function makeDetours(): string {
  const alias = (dn: string, name: string, target: string) =>
    ldifEntry(dn, { objectClass: ["alias", "extensibleObject"], [name]: /=([^,]*)/.exec(dn)?.[1] ?? "", aliasedObjectName: target }); // prettier-ignore
  return [
    ldifEntry(detours, { objectClass: "organizationalUnit", ou: "detours" }),
    alias(`uid=alias1,${detours}`, "uid", `uid=p1,${people}`),
    alias(`uid=alias2,${detours}`, "uid", `uid=nobody,${people}`),
    alias(`ou=branch,${detours}`, "ou", people),
    ldifEntry(`ou=away,${detours}`, {
      objectClass: ["referral", "extensibleObject"],
      ou: "away",
      ref: "ldap://127.0.0.1:1/dc=elsewhere,dc=test",
    }),
  ].join("");
}

const personCount = sample(150, 600);
const generated = makePeople(personCount);

const ldif = [
  ...["people", "domains", "groups"].map((ou) =>
    ldifEntry(`ou=${ou},${slapdBase}`, { objectClass: "organizationalUnit", ou }),
  ),
  generated.ldif,
  makeDomains(),
  makeGroups(generated.persons),
  makeDetours(),
  makeChains(),
].join("");

/** Addresses that are there, spoilt ones, and inventions. No line ends and no NUL: postmap takes its keys line by line. */
function makeKeys(count: number): string[] {
  const keys = new Set<string>();
  const known = generated.persons.flatMap(({ addresses }) => addresses);
  while (keys.size < count) {
    const kind = random();
    const address = pick(known);
    const at = below(address.length + 1);
    if (kind < 0.35) keys.add(address);
    else if (kind < 0.4) keys.add(address.toUpperCase());
    else if (kind < 0.55) keys.add(address.slice(0, at) + pick(pieces) + address.slice(at));
    else if (kind < 0.65) keys.add(address.slice(0, at) + pick(pieces) + address.slice(at + 1));
    else if (kind < 0.75) keys.add(`post@${pick(oddDomains)}`);
    else if (kind < 0.8) keys.add(pick(oddDomains));
    else if (kind < 0.85) keys.add(`@${pick(oddDomains)}`);
    else keys.add(`${makeLocal()}${random() < 0.7 ? `@${pick(oddDomains)}` : ""}`);
  }
  keys.delete("");
  // A pair cut in two is no text.
  return [...keys].filter((key) => key.isWellFormed());
}

const queries: Readonly<Record<string, Parameters>> = {
  "the default filter": {},
  "without parentheses": { query_filter: "mailacceptinggeneralid=%s" },
  "an or of two": { query_filter: "(&(objectClass=mailThing)(|(mailacceptinggeneralid=%s)(uid=%u)))" },
  "blanks and a not": { query_filter: "( &  (mailacceptinggeneralid=%s) (!(uid=p1)) (!(objectClass=person)))" },
  "%u and %d apart": { query_filter: "(mailacceptinggeneralid=%u@%d)" },
  "a substring": { query_filter: "(mailacceptinggeneralid=%u*)", size_limit: "0" },
  "in the middle": { query_filter: "(mailacceptinggeneralid=*%u*@%d)" },
  "upper-case fields": { query_filter: "(mailacceptinggeneralid=%U@%D)", result_format: "%s %S" },
  "a matching rule": { query_filter: "(mailacceptinggeneralid:caseIgnoreMatch:=%s)" },
  "a rule and names": { query_filter: "(ou:dn:=%d)", search_base: domains },
  "order and approximation": {
    query_filter: "(|(mailacceptinggeneralid~=%s)(&(uid>=a)(uid<=%s)))",
  },
  "escaped octets": {
    query_filter: "(|(mailacceptinggeneralid=%s)(mailacceptinggeneralid=\\70\\31@a.test)(cn=\\c3\\a4))",
  },
  "labels of the domain": { query_filter: "(mailacceptinggeneralid=%u@%3.%2.%1)" },
  "a name by domain": { search_base: `ou=%d,${domains}`, query_filter: "(mailacceptinggeneralid=%u)" },
  "one level below it": { search_base: `ou=%d,${domains}`, query_filter: "(mailacceptinggeneralid=%s)", scope: "one" },
  "a name by key": { search_base: `uid=%u,${people}`, query_filter: "(objectClass=*)", scope: "base" },
  "the whole key as a name": {
    search_base: `ou=%s,${domains}`,
    query_filter: "(objectClass=*)",
    result_attribute: "ou,maildrop",
  },
  "several attributes": { result_attribute: "maildrop, mail mailHost2,uid" },
  options: { result_attribute: "description" },
  "one option": { result_attribute: "description;lang-de, uid" },
  "a form": { result_format: "smtp:[%d]:%u/%S", result_attribute: "maildrop,mail" },
  "parts of the key": { result_format: "%U at %1.%2 %s %%" },
  "the old name": { result_filter: "old %s" },
  "some domains": { domain: "a.test, !c.d.e.test x+y.test" },
  "no attribute": { result_attribute: "" },
  "aliases followed": { dereference: "3" },
};

const groupQueries: Readonly<Record<string, Parameters>> = {
  "special": { special_result_attribute: "members", result_attribute: "mailMember,maildrop" },
  "leaf": { special_result_attribute: "members", leaf_result_attribute: "mail", result_attribute: "" },
  "leaf and ordinary": { special_result_attribute: "members", leaf_result_attribute: "mail maildrop", result_attribute: "mailMember" },
  "terminal": { special_result_attribute: "members", terminal_result_attribute: "maildrop", result_attribute: "mailMember" },
  "terminal, leaf, ordinary": { special_result_attribute: "members", terminal_result_attribute: "maildrop", leaf_result_attribute: "mail", result_attribute: "mailMember" },
  "one level": { special_result_attribute: "members", result_attribute: "mailMember,mail", recursion_limit: "1" },
  "two levels": { special_result_attribute: "members", result_attribute: "mailMember,mail", recursion_limit: "2" },
  "four levels": { special_result_attribute: "members", result_attribute: "mailMember,mail", recursion_limit: "4" },
  "three values": { special_result_attribute: "members", result_attribute: "mailMember,mail", expansion_limit: "3", size_limit: "0" },
  "two entries": { special_result_attribute: "members", result_attribute: "mail,mailMember", size_limit: "2" },
  "one value": { special_result_attribute: "members", leaf_result_attribute: "mail", result_attribute: "maildrop", expansion_limit: "1" },
  "a form": { special_result_attribute: "members", leaf_result_attribute: "mail", result_format: "<%u|%S>", result_attribute: "mailMember" },
  "not special": { result_attribute: "members" },
}; // prettier-ignore

describeWith(["slapd", "ldapsearch", "postmap"], "ldap, asked side by side with postmap", () => {
  const folder = temporaryFolder();
  const postmap = new Postmap(folder.path);
  const open = openLdap(folder.path);
  let slapd: Slapd;
  let tables = 0;
  beforeAll(async () => {
    slapd = await startSlapd({ folder: folder.path, ldif });
  });
  afterAll(async () => {
    await slapd.stop();
    folder[Symbol.dispose]();
  });

  const prepare = async (parameters: Parameters) => {
    const server = { server_host: `ldap://127.0.0.1:${slapd.port}`, search_base: people, version: "3", timeout: "20" };
    const name = `table${(tables += 1)}.cf`;
    const path = writeCf(folder.path, name, { ...server, ...parameters });
    return { path, table: await open({}, name) };
  };

  describe(`addresses (seed ${seed})`, () => {
    for (const [name, parameters] of Object.entries(queries)) {
      test(name, async () => {
        const { path, table } = await prepare(parameters);
        const { differences, found } = await compare(table, postmap, path, makeKeys(sample(150, 3000)));
        await table.close();
        expect(differences).toEqual([]);
        // All the same for want of any answer would prove nothing.
        if (parameters.result_attribute !== "") expect(found).toBeGreaterThan(0);
      });
    }
  });

  describe.concurrent(`groups (seed ${seed})`, () => {
    const chains = ["chain1", "chain2", "chain3", "self", "ring1", "urls", "capitals1", "stopped"];
    const uids = [...Array.from({ length: groupCount }, (_, index) => `g${index}`), ...chains];
    for (const [name, parameters] of Object.entries(groupQueries)) {
      test(name, async () => {
        const { path, table } = await prepare({ ...parameters, search_base: groups });
        const outcome = await compare(table, postmap, path, uids.map((uid) => `${uid}@groups.test`)); // prettier-ignore
        await table.close();
        expect(outcome.differences).toEqual([]);
        expect(outcome.found).toBeGreaterThan(0);
      });
    }
  });

  const refused: Readonly<Record<string, Parameters>> = {
    "a base that is not there": { search_base: `ou=nowhere,${slapdBase}` },
    "a base that is no name": { search_base: "no name" },
    "a wrong password": { bind_dn: `cn=admin,${slapdBase}`, bind_pw: "wrong" },
    "a server that refers elsewhere": { search_base: "dc=else,dc=test" },
    "more entries than allowed": { query_filter: "(|(objectClass=*)(uid=%s))", size_limit: "3" },
    "no server": { server_host: "ldap://127.0.0.1:1" },
  };
  const followed: Readonly<Record<string, readonly boolean[]>> = {
    "0": [false, false, false, false],
    "1": [true, false, false, false],
    "2": [false, true, true, false],
    "3": [true, true, true, false],
  };
  for (const [dereference, expected] of Object.entries(followed)) {
    test(`aliases and what is elsewhere, dereference = ${dereference}`, async () => {
      const keys = generated.persons.map(({ uid }) => `${uid}@a.test`);
      const outcomes: boolean[] = [];
      for (const base of [detours, `ou=branch,${detours}`, `uid=alias1,${detours}`, `ou=away,${detours}`]) {
        const { path, table } = await prepare({ dereference, search_base: base });
        const { differences, found } = await compare(table, postmap, path, keys.slice(0, base === detours ? 50 : 5));
        await table.close();
        expect(differences).toEqual([]);
        outcomes.push(found > 0);
      }
      expect(outcomes).toEqual(expected);
    });
  }

  test("what is elsewhere is no answer for those who count on it", async () => {
    const { table } = await prepare({ search_base: detours, chase_referrals: "yes" });
    expect(await ask(table, "p1@a.test")).toBe(unavailable);
    await table.close();
  });

  for (const [name, parameters] of Object.entries(refused)) {
    test(`${name}: no answer, for both`, async () => {
      const { path, table } = await prepare(parameters);
      expect([await ask(table, "p1@a.test"), await postmap.ask(path, "p1@a.test")]).toEqual([unavailable, unavailable]);
      await table.close();
    });
  }

  test("keys that postmap takes as an argument alone", async () => {
    const { path, table } = await prepare({});
    for (const key of ["a\nb@a.test", "p1@a.test\n", "\r"]) {
      expect([key, await ask(table, key)]).toEqual([key, await postmap.ask(path, key)]);
    }
    await table.close();
  });
});
