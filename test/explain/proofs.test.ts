// What `postern check` proves: each finding fires for what it is about, and for nothing else.
import {
  definePlugin,
  permit,
  proveConfig,
  type Finding,
  type MachineAddresses,
  type RuntimeOptions,
} from "@postern/core";
import { instantiate } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { configIn, folder, plain, searchFrom } from "./world.ts";

const machine: MachineAddresses = {
  interfaces: [{ name: "eth0", address: "192.0.2.200" }],
  gateway: "192.0.2.254",
  isContainer: true,
};

interface Case {
  readonly patch?: object;
  readonly files?: Readonly<Record<string, string>>;
  readonly machine?: Partial<MachineAddresses>;
  readonly instances?: NonNullable<RuntimeOptions["instances"]>;
}

async function prove({ patch = {}, files = {}, instances = [], ...rest }: Case): Promise<readonly Finding[]> {
  const config = configIn(folder(files), { ...plain, ...patch });
  return proveConfig(config, { searchFrom, instances, machine: { ...machine, ...rest.machine } });
}

const text = ({ level, rule, place, message }: Finding): string => `${level} ${rule} ${place ?? "-"}: ${message}`;

test("a plain config is proved, and nothing is said against it", async () => {
  const findings = await prove({});
  expect(findings.map(({ level, rule }) => `${level} ${rule}`)).toEqual([
    "proved open-relay",
    "proved postmaster",
    "proved networks",
  ]);
  expect(findings[0]?.message).toBe("no open relay: strangers were refused 56 times at 1 listener");
});

/** A word that lets everybody relay, as a plugin could bring it. */
const opening = await instantiate(
  definePlugin({
    name: "opening",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      gateway.restriction({
        name: "permit_friends",
        stages: ["relay", "rcpt"],
        args: z.tuple([]),
        description: "Permits everybody.",
        authorizes: true,
        compile: () => () => permit,
      });
    },
  }),
);

const relay = (...words: unknown[]) => ({ policy: { relay: words, rcpt: [] } });
const rewriting = "@postern/plugin-rewrite";
const aliases = (name: string) => ({
  plugins: [...plain.plugins, [rewriting, { virtual: `texthash:./${name}` }]],
});

const logins = (host: string): Case => ({
  patch: {
    listeners: [{ host, port: 0, auth: "offered", authWithoutTls: true }],
    plugins: [...plain.plugins, ["@postern/plugin-auth", { passwords: {} }]],
  },
});

/** What must be found; with `not`, what must not be found although it looks alike. */
const cases: readonly (readonly [name: string, rule: string, found: Case, finding: RegExp, not: Case])[] = [
  [
    "a word that permits everybody",
    "open-relay",
    { ...relay("permit_friends"), patch: relay("permit_friends"), instances: [opening] },
    /^error open-relay policy\.relay\[0\]: a stranger, 192\.0\.2\.25, may send from <user@stranger\.invalid> to user@stranger\.invalid: permit_friends permits it \(and 53 other ways\)$/,
    { patch: relay("reject_unauth_destination", "permit_friends"), instances: [opening] },
  ],
  [
    "an access table that permits the world in relay",
    "open-relay",
    { patch: relay("check_client_access cidr:./clients"), files: { clients: "0.0.0.0/0 OK\n" } },
    /^error open-relay policy\.relay\[0\]: .*check_client_access permits it \(cidr:\.\/clients, key 192\.0\.2\.25\)/,
    { patch: relay("check_client_access cidr:./clients"), files: { clients: "198.18.0.0/15 OK\n" } },
  ],
  [
    "an access table that permits clients without a name in relay",
    "open-relay",
    { patch: relay(["check_client_access", { unknown: "OK" }]) },
    /^error open-relay policy\.relay\[0\]: .*check_client_access permits it \(.*key unknown\)/,
    { patch: relay(["check_client_access", { unknown: "DUNNO" }]) },
  ],
  [
    "XCLIENT for everybody",
    "open-relay",
    { patch: { listeners: [{ host: "127.0.0.1", port: 0, xclient: ["0.0.0.0/1", "128.0.0.0/1"] }] } },
    /^error open-relay listeners\[0\]\.xclient: every stranger may say XCLIENT here/,
    { patch: { listeners: [{ host: "127.0.0.1", port: 0, xclient: ["192.0.2.0/24", "10.0.0.0/8"] }] } },
  ],
  [
    "PROXY headers of everybody",
    "open-relay",
    { patch: { listeners: [{ host: "127.0.0.1", port: 0, proxy: ["::/0"] }] } },
    /^warning open-relay listeners\[0\]\.proxy: every stranger is believed/,
    { patch: { listeners: [{ host: "127.0.0.1", port: 0, proxy: ["2001:db8::/32"] }] } },
  ],
  [
    "passwords in clear on a network",
    "clear-passwords",
    logins("0.0.0.0"),
    /^warning clear-passwords listeners\[0\]\.authWithoutTls: whoever hears the network at 0\.0\.0\.0/,
    logins("127.0.0.1"),
  ],
  [
    "an open list of one listener only",
    "open-relay",
    {
      patch: {
        listeners: [
          ...plain.listeners,
          { name: "second", host: "127.0.0.1", port: 0, policy: { relay: ["permit_friends"], rcpt: [] } },
        ],
      },
      instances: [opening],
    },
    /^error open-relay listeners\[1\]\.policy\.relay\[0\]: /,
    {
      patch: {
        listeners: [...plain.listeners, { name: "second", host: "127.0.0.1", port: 0, policy: { rcpt: ["permit"] } }],
      },
    },
  ],
  [
    "a pattern that takes every domain for ours",
    "open-relay",
    { patch: { domains: { relay: { domains: "regexp:./domains" } } }, files: { domains: "/./ x\n" } },
    /^error open-relay domains: a domain that is nobody's/,
    { patch: { domains: { relay: { domains: "regexp:./domains" } } }, files: { domains: "/^example\\.test$/ x\n" } },
  ],
  [
    "a word that permits everybody whom a greylist only puts off",
    "open-relay",
    {
      patch: { ...relay("permit_friends"), policy: { relay: ["permit_friends"], rcpt: ["defer_if_permit"] } },
      instances: [opening],
    },
    /^error open-relay policy\.relay\[0\]: a stranger/,
    { patch: { policy: { relay: [], rcpt: ["defer_if_permit"] } } },
  ],
  [
    "everybody in networks",
    "open-relay",
    { patch: { networks: ["0.0.0.0/0", "::/0"] } },
    /^error open-relay networks: every stranger is in "networks"/,
    { patch: { networks: ["198.18.0.0/15"] } },
  ],
  [
    "a postmaster who does not exist",
    "postmaster",
    { patch: { domains: { relay: { domains: ["example.test"], recipients: ["user@example.test"] } } } },
    /^warning postmaster domains: postmaster@example\.test refuses strangers: 550 5\.1\.1 /,
    {},
  ],
  [
    "a list that refuses postmaster",
    "postmaster",
    { patch: { policy: { rcpt: [["check_recipient_access", { "postmaster@": "REJECT" }]] } } },
    /^warning postmaster policy\.rcpt\[0\]: postmaster refuses strangers: |^warning postmaster policy\.rcpt\[0\]: postmaster@example\.test refuses/,
    { patch: { policy: { rcpt: ["defer_if_permit"] } } },
  ],
  [
    "nobody for abuse",
    "abuse",
    { patch: { domains: { relay: { domains: ["example.test"], recipients: ["postmaster@example.test"] } } } },
    /^note abuse -: abuse@example\.test refuses strangers/,
    {},
  ],
  [
    "Docker's bridge in networks",
    "networks",
    { patch: { networks: ["127.0.0.0/8", "172.17.0.0/16"] } },
    /^warning networks networks: 172\.17\.0\.1, Docker's bridge, is in "networks"/,
    { patch: { networks: ["127.0.0.0/8", "172.31.5.0/24"] } },
  ],
  [
    "a network so wide that it has many bridges",
    "networks",
    { patch: { networks: ["127.0.0.0/8", "10.0.0.0/8"] } },
    /^warning networks networks: what bridges of containers usually have \(10\..*; 10\..*\) is in "networks"/,
    { patch: { networks: ["127.0.0.0/8", "10.77.0.0/16"] } },
  ],
  [
    "this machine's own bridge in networks",
    "networks",
    { patch: { networks: ["198.18.7.0/24"] }, machine: { interfaces: [{ name: "br-1a2b", address: "198.18.7.1" }] } },
    /198\.18\.7\.1, this machine's address on the bridge br-1a2b/,
    { patch: { networks: ["198.18.7.0/24"] }, machine: { interfaces: [{ name: "eth0", address: "198.18.7.1" }] } },
  ],
  [
    "a container's default gateway in networks",
    "networks",
    { patch: { networks: ["198.18.7.0/24"] }, machine: { gateway: "198.18.7.254" } },
    /198\.18\.7\.254, this container's default gateway/,
    { patch: { networks: ["198.18.7.0/24"] }, machine: { gateway: "198.18.7.254", isContainer: false } },
  ],
  [
    "a whole private range with a public listener",
    "networks",
    { patch: { networks: ["10.0.0.0/8"], listeners: [{ host: "0.0.0.0", port: 0 }] } },
    /^warning networks networks\[0\]: 10\.0\.0\.0\/8 is a whole private range/,
    { patch: { networks: ["10.9.0.0/16"], listeners: [{ host: "0.0.0.0", port: 0 }] } },
  ],
  [
    "the proxy of a listener in networks",
    "networks",
    { patch: { networks: ["198.18.0.5"], listeners: [{ host: "127.0.0.1", port: 0, proxy: ["198.18.0.5"] }] } },
    /198\.18\.0\.5, the proxy of listeners\[0\], is in "networks"/,
    { patch: { networks: ["198.18.0.6"], listeners: [{ host: "127.0.0.1", port: 0, proxy: ["198.18.0.5"] }] } },
  ],
  [
    "words behind permit",
    "unreachable",
    { patch: { policy: { rcpt: ["permit", "reject_unauth_destination"] } } },
    /^warning unreachable policy\.rcpt\[1\]: nobody comes to reject_unauth_destination: permit \(policy\.rcpt\[0\]\) ends the list before$/,
    { patch: { policy: { rcpt: ["reject_unauth_destination", "permit"] } } },
  ],
  [
    "permit_mynetworks behind a class that rejects",
    "unreachable",
    { patch: { policy: { classes: { closed: ["reject"] }, rcpt: ["closed", "permit_mynetworks"] } } },
    /^warning unreachable policy\.rcpt\[1\]: nobody comes to permit_mynetworks: reject \(policy\.classes\.closed\[0\]\)/,
    { patch: { policy: { rcpt: ["warn_if_reject reject", "permit_mynetworks"] } } },
  ],
  [
    "a word twice",
    "unreachable",
    {
      patch: { policy: { rcpt: ["reject_unauth_destination", "reject_non_fqdn_sender", "reject_unauth_destination"] } },
    },
    /^warning unreachable policy\.rcpt\[2\]: reject_unauth_destination stands at policy\.rcpt\[0\] already/,
    { patch: { policy: { rcpt: ["warn_if_reject reject_non_fqdn_sender", "reject_non_fqdn_sender"] } } },
  ],
  [
    "a list of a listener in place of a global one",
    "shadowed-list",
    { patch: { listeners: [{ host: "127.0.0.1", port: 0, policy: { rcpt: ["permit_mynetworks"] } }] } },
    /^note shadowed-list listeners\[0\]\.policy\.rcpt: stands in place of policy\.rcpt/,
    { patch: { listeners: [{ host: "127.0.0.1", port: 0, policy: { data: ["permit_mynetworks"] } }] } },
  ],
  [
    "aliases in a circle",
    "alias-loop",
    { patch: aliases("aliases"), files: { aliases: "a@example.test b@example.test\nb@example.test a@example.test\n" } },
    /^warning alias-loop \S*aliases:1: mail for a@example\.test is put off for ever: .*nested too deep.* \(a@example\.test → b@example\.test → a@example\.test\)/,
    {
      patch: aliases("aliases"),
      files: { aliases: "a@example.test b@example.test, a@example.test\nb@example.test user@example.test\n" },
    },
  ],
  [
    "a relayhost that is this gateway",
    "route-loop",
    { patch: { relayhost: "[127.0.0.1]:2525", listeners: [{ host: "127.0.0.1", port: 2525 }] } },
    /^warning route-loop relayhost: mail that is not ours is sent to \[127\.0\.0\.1\]:2525, which is this gateway/,
    { patch: { relayhost: "[127.0.0.1]:2526", listeners: [{ host: "127.0.0.1", port: 2525 }] } },
  ],
  [
    "a route that leads back",
    "route-loop",
    {
      patch: { routes: "texthash:./transport", listeners: [{ host: "127.0.0.1", port: 2525 }] },
      files: { transport: "other.test smtp:[127.0.0.2]:25\nexample.test smtp:[127.0.0.1]:2525\n" },
    },
    /^warning route-loop \S*transport:2: mail for example\.test is sent to \[127\.0\.0\.1\]:2525/,
    {
      patch: { routes: "texthash:./transport", listeners: [{ host: "127.0.0.1", port: 2525 }] },
      files: { transport: "example.test smtp:[127.0.0.1]:2526\n" },
    },
  ],
  [
    "relay domains without recipients",
    "backscatter",
    { patch: { domains: { relay: ["example.test"] } } },
    /^warning backscatter domains\.relay: mail for any address of these domains is taken/,
    {},
  ],
  [
    "a catch-all that leaves",
    "backscatter",
    { patch: aliases("aliases"), files: { aliases: "@example.test someone@elsewhere.test\n" } },
    /^warning backscatter \S*aliases:1: @example\.test takes mail for every address and sends it to someone@elsewhere\.test/,
    { patch: aliases("aliases"), files: { aliases: "@example.test user@example.test\n" } },
  ],
];

describe.each(cases)("%s", (_, rule, found, finding, not) => {
  test("is found", async () => {
    const findings = await prove(found);
    expect(findings.map(text)).toContainEqual(expect.stringMatching(finding));
  });

  test("and what is not one is not", async () => {
    const findings = (await prove(not)).filter((one) => one.rule === rule && one.level !== "proved");
    expect(findings.map(text)).toEqual([]);
  });
});
