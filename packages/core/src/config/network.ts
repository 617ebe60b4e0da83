/** Addresses, networks, domains and next-hops as a config writes them: checked here, compiled for matching elsewhere. */
import { z } from "zod";
import { canonicalDomain } from "../address/domain.ts";
import { parseNameServer } from "../address/name-server.ts";
import { networkOf, parseCidr } from "../address/network.ts";
import { parseNextHop } from "../address/next-hop.ts";

const mostAddresses = 16;

/** `"10.0.0.0/8"`, `"2001:db8::/32"`, `"[::1]/128"` (Postfix's form) or one address. */
export function cidr(): z.ZodType<string, string> {
  const expected = 'a network such as "192.0.2.0/24" or "2001:db8::/32"';
  return z.string().check((context) => {
    const parsed = parseCidr(context.value);
    if (parsed.ok) return;
    const wanted =
      parsed.reason === "hostBits" ? `no bits set after the prefix, as in "${masked(context.value)}"` : expected;
    context.issues.push({ code: "custom", input: context.value, message: `expected ${wanted}` });
  });
}

function masked(text: string): string | undefined {
  const [address = "", length] = text.replace(/[[\]]/g, "").split("/");
  return networkOf(address, { v4: Number(length), v6: Number(length) });
}

/** A domain in its canonical form: lower case, U-labels kept as such. */
export function domain(): z.ZodType<string, string> {
  return text(canonicalDomain, 'a domain such as "example.com"');
}

/** `"192.0.2.1"`, `"192.0.2.1:53"`, `"2001:db8::1"`, `"[2001:db8::1]:53"`. */
export function nameServer(): z.ZodType<string, string> {
  return text(
    (given) => parseNameServer(given) && given,
    'an address such as "192.0.2.1", "192.0.2.1:53" or "[2001:db8::1]:53"',
  );
}

/** A next-hop: `"example.com"` (its MX), `"[host]"`, `"[host]:port"`, `"host:port"`. */
export function nextHop(): z.ZodType<string, string> {
  return text(
    (given) => parseNextHop(given) && given,
    'a next-hop such as "[mail.example.com]:587", "[192.0.2.1]" or "example.com"',
  );
}

/** One next-hop or several, in the order in which they are tried: `"a, b"` or a list. Out comes the string. */
export function nextHops(): z.ZodType<string, string | readonly string[]> {
  const hopsOf = (value: unknown): readonly string[] | undefined => {
    const given: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (!given.every((each) => typeof each === "string")) return undefined;
    const hops = given.flatMap((each) => each.split(/[\s,]+/)).filter((hop) => hop !== "");
    return hops.length > 0 && hops.every((hop) => parseNextHop(hop) !== undefined) ? hops : undefined;
  };
  const expected = 'expected a next-hop such as "[mail.example.com]:587", "[192.0.2.1]" or "example.com"';
  return z
    .custom<string | readonly string[]>((value) => hopsOf(value) !== undefined, expected)
    .transform((value) => hopsOf(value)?.join(", ") ?? "");
}

/** Where a service is, in a form of a plugin's own, and as it is written; `examples` are for the error: `"unix:/run/x.sock" or "tcp:host:port"`. */
export function serviceAddress(parse: (given: string) => unknown, examples: string): z.ZodString {
  const expected = `an address such as ${examples}`;
  return z
    .string()
    .refine((given) => parse(given) !== undefined, { message: `expected ${expected}`, params: { expected } });
}

/** One such address, or a list in the order of preference. */
export function serviceAddresses(
  parse: (given: string) => unknown,
  examples: string,
): z.ZodType<string | string[], string | string[]> {
  const address = serviceAddress(parse, examples);
  return z.union([address, z.array(address).min(1).max(mostAddresses)], {
    error: `expected an address such as ${examples}, or a list of them`,
  });
}

function text(parse: (given: string) => string | undefined, expected: string): z.ZodType<string, string> {
  return z
    .custom<string>((value) => typeof value === "string" && parse(value.trim()) !== undefined, `expected ${expected}`)
    .transform((value) => parse(value.trim()) ?? value);
}
