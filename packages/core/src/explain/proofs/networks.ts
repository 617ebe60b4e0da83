/** Addresses that stand for others: a proxy's, a container bridge's, a gateway's. In `networks` they let everybody behind them relay. */
import { existsSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { createNetworkList, formatIp, parseCidr, parseIp } from "../../address/index.ts";
import type { ResolvedConfig } from "../../config/index.ts";
import type { ClientNetworks } from "../../routing/index.ts";
import type { Finding } from "./finding.ts";

const rule = "networks";

/** What containers and virtual machines see of the world outside, by default. */
const bridges: readonly (readonly [address: string, what: string])[] = [
  ["172.17.0.1", "Docker's bridge"],
  ["172.18.0.1", "a bridge of Docker Compose"],
  ["192.168.65.1", "Docker Desktop's gateway"],
  ["10.88.0.1", "Podman's bridge"],
  ["10.0.2.2", "the gateway of rootless containers and QEMU"],
  ["10.244.0.1", "a bridge of Kubernetes (flannel)"],
  ["10.42.0.1", "a bridge of k3s"],
  ["192.168.122.1", "libvirt's bridge"],
];
const bridgeInterface = /^(?:docker|br-|cni|podman|virbr|lxcbr|lxdbr|cali|flannel|kube|veth)/;
const everything: readonly string[] = ["0.0.0.0/0", "::/0"];
const privateRanges: readonly string[] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
export const loopback = createNetworkList(["127.0.0.0/8", "::1"]);

export interface MachineAddresses {
  readonly interfaces: readonly { readonly name: string; readonly address: string }[];
  readonly gateway: string | undefined;
  /** It is a container: its gateway hands in what comes from outside under its own address. */
  readonly isContainer: boolean;
}

export function readMachine(): MachineAddresses {
  const interfaces = Object.entries(networkInterfaces()).flatMap(([name, all = []]) =>
    all.map(({ address }) => ({ name, address })),
  );
  const isContainer = ["/.dockerenv", "/run/.containerenv"].some((file) => existsSync(file));
  return { interfaces, gateway: readGateway(), isContainer };
}

function readGateway(): string | undefined {
  try {
    for (const line of readFileSync("/proc/net/route", "utf8").split("\n").slice(1)) {
      const [, destination, gateway = ""] = line.split("\t");
      if (destination !== "00000000" || !/^[0-9A-F]{8}$/.test(gateway) || gateway === "00000000") continue;
      return (gateway.match(/../g) ?? [])
        .toReversed()
        .map((octet) => parseInt(octet, 16))
        .join(".");
    }
  } catch {
    // Not Linux.
  }
  return undefined;
}

export async function findStandIns(
  config: ResolvedConfig,
  networks: ClientNetworks,
  machine: MachineAddresses,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const items = Array.isArray(config.networks) ? config.networks : [config.networks];
  const isPublic = config.listeners.some(({ host }) => !loopback.contains(host));
  const told: string[] = [];
  for (const [index, item] of items.entries()) {
    if (typeof item !== "string") continue;
    const place = Array.isArray(config.networks) ? `networks[${index}]` : "networks";
    if (everything.includes(item)) {
      told.push(item);
      findings.push({
        level: "error",
        rule,
        place,
        message: `${item} is everybody: whoever connects may send anywhere`,
        remedy: "name the networks of your own clients",
      });
    } else if (isPublic && privateRanges.includes(item)) {
      told.push(item);
      findings.push({
        level: "warning",
        rule,
        place,
        message: `${item} is a whole private range: behind NAT, a proxy or a container bridge strangers come from it too`,
        remedy: "name the networks that your clients really have",
      });
    }
  }
  const covered = createNetworkList(told);
  const seen = new Set<string>();
  const isNew = async (plain: string): Promise<boolean> => {
    if (seen.has(plain) || covered.contains(plain) || !(await isIn(networks, plain))) return false;
    seen.add(plain);
    return true;
  };
  const warn = async (address: string, what: string, remedy: string): Promise<void> => {
    const ip = parseIp(address);
    const plain = ip === undefined ? address : formatIp(ip);
    if (!(await isNew(plain))) return;
    const message = `${plain}, ${what}, is in "networks": whoever comes through it may send anywhere`;
    findings.push({ level: "warning", rule, place: "networks", message, remedy });
  };
  const takeOut = "take it out, or let what stands before us say who the client is (PROXY protocol, XCLIENT)";
  for (const { name, address } of machine.interfaces) {
    if (bridgeInterface.test(name)) await warn(address, `this machine's address on the bridge ${name}`, takeOut);
  }
  // A router of one's own network is a client like others; a container's gateway stands for everybody.
  if (machine.gateway !== undefined && machine.isContainer) {
    await warn(machine.gateway, "this container's default gateway", takeOut);
  }
  const usual: string[] = [];
  for (const [address, what] of bridges) if (await isNew(address)) usual.push(`${address}, ${what}`);
  const [one, ...others] = usual;
  if (one !== undefined) {
    // A wide network holds many: one sentence for all of them.
    const which =
      others.length === 0 ? `${one}, is` : `what bridges of containers usually have (${usual.join("; ")}) is`;
    const message = `${which} in "networks": whoever comes through it may send anywhere`;
    findings.push({ level: "warning", rule, place: "networks", message, remedy: takeOut });
  }
  for (const [index, { proxy }] of config.listeners.entries()) {
    for (const network of proxy) {
      const parsed = parseCidr(network);
      const address = parsed.ok ? (network.split("/")[0] ?? network) : network;
      // Who speaks on this very host is ours in any case.
      if (loopback.contains(address)) continue;
      await warn(address, `the proxy of listeners[${index}]`, "take it out: clients are named by their PROXY header");
    }
  }
  if (findings.length > 0) return findings;
  return [{ level: "proved", rule, message: 'no proxy, gateway or bridge is in "networks"' }];
}

/** A table that cannot be asked is found by others. */
async function isIn(networks: ClientNetworks, address: string): Promise<boolean> {
  try {
    return await networks.contains(address);
  } catch {
    return false;
  }
}
