/** What the items of a match list mean: domains, hosts and networks, or mail addresses. All without regard to case. */
import { canonicalDomain } from "../address/index.ts";
import { canonicalAddress } from "../address/mailbox.ts";
import { createNetworkList, parseCidr } from "../address/network.ts";
import type { ConfigError } from "../errors.ts";
import type { Client } from "../model/session.ts";
import { foldKey } from "./fold.ts";
import { addressForms, domainForms } from "./forms.ts";
import type { MatchFlavour } from "./match-list.ts";
import { addressKeys, domainKeys, type GenericOrder, type ParentStyle } from "./search-order.ts";

/**
 * Domains. A subdomain of a listed domain matches by `parent`; by `dotted` when the list has `.domain`; otherwise only the domain itself,
 * in each form of its labels.
 */
export function domainFlavour(style?: ParentStyle): MatchFlavour<string> {
  const keysOf = (domain: string): readonly string[] => (style === undefined ? [domain] : domainKeys(domain, style));
  return {
    compile(literals, fault) {
      const known = new Set<string>();
      for (const literal of literals) {
        const dot = style === "dotted" && literal.startsWith(".") ? "." : "";
        const domain = canonicalDomain(literal.slice(dot.length));
        if (domain === undefined) throw fault(literal, "is no domain");
        for (const form of domainForms(domain)) known.add(dot + form);
      }
      // All forms are in the set: the one that is asked about is among them.
      return style === undefined
        ? (domain) => known.has(domain)
        : (domain) => known.has(domain) || domainKeys(domain, style).some((key) => known.has(key));
    },
    turns: (domain) => domainForms(domain).map(keysOf),
  };
}

function compileNetworks(literals: readonly string[], fault: (literal: string, why: string) => ConfigError) {
  for (const literal of literals) {
    const parsed = parseCidr(literal);
    if (!parsed.ok) throw fault(literal, networkFaults[parsed.reason]);
  }
  return createNetworkList(literals);
}

const networkFaults = {
  address: "is no address and no network",
  prefix: "has a prefix length out of range",
  hostBits: "has bits set beyond its prefix",
} as const;

/** `fe80::1/64` has a colon and is a network all the same, if a wrong one. */
function isNetwork(text: string): boolean {
  const parsed = parseCidr(text);
  return parsed.ok || parsed.reason !== "address";
}

/** Addresses of clients: `192.0.2.1`, `192.0.2.0/24`, `[::1]/128`. A table is asked for the address alone. */
export const networkFlavour: MatchFlavour<string> = Object.freeze({
  looksLiteral: isNetwork,
  compile(literals, fault) {
    const networks = compileNetworks(literals, fault);
    return (address) => networks.contains(address);
  },
  turns: (address) => [[address]],
} satisfies MatchFlavour<string>);

/** A client as it may be listed; `name` is one that was proved, or absent. */
export interface Host {
  readonly address: string;
  readonly name?: string | undefined;
}

/** `undefined`: a client without an address is in no list. */
export function hostOf({ address, name, nameStatus }: Client): Host | undefined {
  if (address === undefined) return undefined;
  return nameStatus === "ok" ? { address, name } : { address };
}

/** Clients by address, network or name, as in Postfix's namadr lists; a name's parents match by `style`. */
export function hostFlavour(style: ParentStyle): MatchFlavour<Host> {
  const names = domainFlavour(style);
  return {
    looksLiteral: isNetwork,
    compile(literals, fault) {
      const networks = compileNetworks(literals.filter(isNetwork), fault);
      const isListed = names.compile(
        literals.filter((literal) => !isNetwork(literal)),
        fault,
      );
      return ({ address, name }) => networks.contains(address) || (name !== undefined && isListed(name));
    },
    turns: ({ address, name }) => [...(name === undefined ? [] : names.turns(name)), [address]],
  };
}

/** Mail addresses: `user@domain`, `@domain` for everybody there, and, where users have accounts, `user`. */
export function addressFlavour(order: GenericOrder): MatchFlavour<string> {
  const turns = (address: string): readonly string[][] => addressForms(address).map((form) => addressKeys(form, order));
  return {
    compile(literals, fault) {
      const known = new Set(literals.map((literal) => foldKey(canonicalLiteral(literal, fault))));
      return (address) => turns(address).some((keys) => keys.some((key) => known.has(foldKey(key))));
    },
    turns,
  };

  function canonicalLiteral(literal: string, fault: (literal: string, why: string) => ConfigError): string {
    if (order.isLocal && !literal.includes("@")) return literal;
    const everybody = literal.startsWith("@");
    const address = canonicalAddress(everybody ? `x${literal}` : literal, { smtputf8: true });
    if (address === undefined) throw fault(literal, "is no address");
    return everybody ? address.slice(1) : address;
  }
}
