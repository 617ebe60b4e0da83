// The DNS of one world: random records for the names of names.ts, and lists of addresses and names.
import type { Zones } from "../../services/knot.ts";
import type { Chance } from "./chance.ts";
import { addresses, heloNames, hosts, ipLists, missing, nameLists, strangers, zones } from "./names.ts";

const v4 = addresses.filter((address) => !address.includes(":"));
const v6 = addresses.filter((address) => address.includes(":"));

export function makeZones(chance: Chance): Zones {
  const target = (): string =>
    `${chance.weighed([
      [8, chance.one(hosts)],
      [1, chance.one(missing)],
      [1, "x.dead.test"],
    ] as const)}.`;
  const records = (name: string): string[] => [
    ...(chance.is(0.5) ? chance.some(1, 2, () => `${name} A ${chance.one(v4)}`) : []),
    ...(chance.is(0.3) ? [`${name} AAAA ${chance.one(v6)}`] : []),
    ...(chance.is(0.5) ? chance.some(1, 2, () => `${name} MX ${chance.one([10, 20])} ${target()}`) : []),
  ];
  const zoneOf = (zone: (typeof zones)[number]): string => {
    const own = zone === "empty.test" ? [] : zone === "nullmx.test" ? ["@ MX 0 ."] : records("@");
    const nameServers = [...new Set(chance.some(1, 2, target))].map((name) => `@ NS ${name}`);
    const below = hosts.filter((host) => host.endsWith(`.${zone}`)).map((host) => host.slice(0, -zone.length - 1));
    const addressesOf = below.flatMap((host) =>
      host === "six" ? [`six AAAA ${v6[0]}`] : chance.is(0.85) ? [`${host} A ${chance.one(v4)}`] : [`${host} TXT none`],
    );
    const sub = ["sub", "deep.sub"].flatMap((name) => (chance.is(0.7) ? records(name) : []));
    // Within its zone: a server that does not recurse gives the address along with no other alias.
    const aliases = zone === "good.test" ? [`alias CNAME ${chance.one(["mail", "mx", "six", "nobody"])}`] : [];
    return [...own, ...nameServers, ...addressesOf, ...sub, ...aliases].join("\n");
  };
  return {
    test: "",
    ...Object.fromEntries(zones.map((zone) => [zone, zoneOf(zone)])),
    ...Object.fromEntries(ipLists.map((list) => [list, makeAddressList(chance)])),
    ...Object.fromEntries(nameLists.map((list) => [list, makeNameList(chance)])),
  };
}

const listed = (chance: Chance): string => `127.0.${chance.one([0, 1])}.${chance.one([2, 4, 10])}`;

function makeAddressList(chance: Chance): string {
  const names = addresses.filter(() => chance.is(0.4)).map(reversed);
  return [...names, "2.0.0.127"].flatMap((name) => chance.some(1, 2, () => `${name} A ${listed(chance)}`)).join("\n");
}

function makeNameList(chance: Chance): string {
  const names = [...new Set([...strangers, ...heloNames])].filter(
    (name) => /^[a-z]+(\.[a-z]+)+$/.test(name) && chance.is(0.3),
  );
  return names.map((name) => `${name} A ${listed(chance)}\n${name} TXT "listed"`).join("\n");
}

/** `10.2.0.192`, or the nibbles of IPv6. */
function reversed(address: string): string {
  if (!address.includes(":")) return address.split(".").toReversed().join(".");
  const [head = "", tail = ""] = address.split("::").map((half) =>
    half
      .split(":")
      .map((group) => group.padStart(4, "0"))
      .join(""),
  );
  const nibbles = `${head}${"0".repeat(32 - head.length - tail.length)}${tail}`;
  return nibbles.split("").toReversed().join(".");
}
