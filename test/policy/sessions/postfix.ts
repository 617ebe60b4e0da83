// The policies as Postfix reads them: one instance, an smtpd of its own for each policy.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Stage } from "@postern/core";
import { freePort } from "../../services/ports.ts";
import { startPostfix, type MainSettings, type PostfixPeer } from "../../services/postfix.ts";
import { listedUsers, networks, ownDomains } from "./names.ts";
import type { SessionPolicy } from "./policy.ts";

export const parameters: Readonly<Record<Stage, string>> = {
  connect: "smtpd_client_restrictions",
  helo: "smtpd_helo_restrictions",
  mail: "smtpd_sender_restrictions",
  relay: "smtpd_relay_restrictions",
  rcpt: "smtpd_recipient_restrictions",
  data: "smtpd_data_restrictions",
  message: "smtpd_end_of_data_restrictions",
};
/** What Postern asks when there is no list of its own. */
const defaultRelay = "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination";

export interface RealServer {
  readonly postfix: PostfixPeer;
  readonly ports: ReadonlyMap<SessionPolicy, number>;
}

/** `nameServer` is asked on port 53. Message go nowhere. */
export async function startReal(
  policies: readonly SessionPolicy[],
  options: { readonly folder: string; readonly nameServer: string },
): Promise<RealServer> {
  const ports = new Map<SessionPolicy, number>();
  for (const policy of policies) ports.set(policy, await freePort());
  const listed = (domain: string): string => {
    const path = join(options.folder, `listed-${domain}`);
    writeFileSync(path, listedUsers.map((user) => `${user}@${domain} x\n`).join(""), { mode: 0o644 });
    return `texthash:${path}`;
  };
  const { local, relay, box, alias } = ownDomains;
  const postfix = await startPostfix({
    folder: options.folder,
    nameServer: options.nameServer,
    main: {
      inet_protocols: "all",
      myorigin: local,
      mydestination: local,
      mynetworks: networks.join(", "),
      relay_domains: relay,
      virtual_mailbox_domains: box,
      virtual_alias_domains: alias,
      local_recipient_maps: listed(local),
      relay_recipient_maps: listed(relay),
      virtual_mailbox_maps: listed(box),
      virtual_alias_maps: listed(alias),
      ...Object.fromEntries(["local", "relay", "virtual", "default"].map((kind) => [`${kind}_transport`, "discard:"])),
      recipient_delimiter: "+",
      allow_percent_hack: "no",
      swap_bangpath: "no",
      append_dot_mydomain: "no",
      smtpd_authorized_xclient_hosts: "127.0.0.1",
      smtpd_helo_required: "yes",
      smtpd_error_sleep_time: "0",
      smtpd_soft_error_limit: "1000",
      smtpd_hard_error_limit: "10000",
      smtpd_junk_command_limit: "10000",
      smtpd_client_event_limit_exceptions: "static:all",
      // One process for all sessions of a policy.
      max_use: "1000000",
      max_idle: "1000",
      smtpd_restriction_classes: policies.flatMap(({ classes }) => Object.keys(classes)).join(", "),
      ...Object.assign({}, ...policies.map(settingsOf)),
    },
    master: [...ports].map(
      ([policy, port]) =>
        `127.0.0.1:${port} inet n - n - 2 smtpd ${overridesOf(policy)
          .map((override) => `-o ${override}`)
          .join(" ")}`,
    ),
  });
  return { postfix, ports };
}

/** Lists and classes as parameters of main.cf. */
export function settingsOf(policy: SessionPolicy): MainSettings {
  const lists = Object.entries({ relay: defaultRelay, ...policy.lists }).map(([stage, text]) => [
    `${policy.name}_${stage}`,
    text,
  ]);
  return Object.fromEntries([...Object.entries(policy.classes), ...lists]) as MainSettings;
}

function overridesOf(policy: SessionPolicy): string[] {
  const stages = Object.keys({ relay: defaultRelay, ...policy.lists }) as Stage[];
  return [
    ...stages.map((stage) => `${parameters[stage]}=$${policy.name}_${stage}`),
    `smtpd_delay_reject=${policy.delayReject ? "yes" : "no"}`,
  ];
}
