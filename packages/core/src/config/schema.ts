/**
 * The schema of a config file: every key with default, unit and meaning. The reference page, `config show` and the type of
 * `defineConfig` come from here. Strict: an unknown key is an error.
 */
import { z } from "zod";
import { domainClass, networkList, tableSpec } from "./match-items.ts";
import { cidr, domain, nameServer, nextHops } from "./network.ts";
import { duration, size } from "./units.ts";

/** Keys of the design without a sink in this version: refused by name, so that nobody believes they work. */
export const unavailableKeys = Object.freeze(["log", "compatibility"]);

/** Keys that stand for the entry of a plugin: their values are its options, and its schema checks them. */
export const pluginKeys = Object.freeze({ rewrite: "@postern/plugin-rewrite" } as const);

const path = (): z.ZodString => z.string().min(1).meta({ kind: "path" });
const count = (): z.ZodInt => z.int().min(1);
/** A setting in which `0` means none. */
const countOrNone = (): z.ZodInt => z.int().min(0);

const line = z
  .string()
  .max(200)
  .refine((text) => !/[^\x20-\x7e]/.test(text), {
    message: "expected one line of printable ASCII",
    params: { expected: "one line of printable ASCII" },
  });

const tables = () =>
  z.union([z.array(tableSpec()), tableSpec()], wanted('a table such as "texthash:./file", or a list of tables'));
/** Which transports there are is known when the plugins are. */
const transport = () => z.string().regex(/^\s*[^\s:]/, wanted('a transport such as "smtp:[mail.example.com]"'));

const policyEntry = z.union(
  [z.string().min(1), z.tuple([z.string().min(1)], z.unknown())],
  wanted('a word such as "permit_mynetworks", or ["word", argument, …]'),
);
const policyList = z.array(policyEntry);

const lists = {
  connect: policyList.optional().describe("Asked when a client connects."),
  helo: policyList.optional().describe("Asked about HELO and EHLO."),
  mail: policyList.optional().describe("Asked about MAIL FROM."),
  relay: policyList
    .optional()
    .describe("Asked first about each RCPT TO: who may send to domains that are not ours. Has a safe default."),
  rcpt: policyList.optional().describe("Asked about each RCPT TO."),
  data: policyList.optional().describe("Asked about DATA, before the message is sent."),
  message: policyList.optional().describe("Asked about the whole message."),
};

const listener = z.strictObject({
  name: z
    .string()
    .regex(/^[\w.-]+$/)
    .optional()
    .describe("Name in logs; `host:port` unless given."),
  host: z
    .string()
    .min(1)
    .default("::")
    .describe('Address to listen on: "127.0.0.1", "0.0.0.0"; "::" is every address, of IPv4 too.'),
  port: z.int().min(0).max(65_535).describe("TCP port; 0 takes a free one."),
  xclient: z.array(cidr()).default([]).describe("Clients that may say XCLIENT."),
  proxy: z
    .array(cidr())
    .default([])
    .describe("Peers that must begin with a PROXY header, version 1 or 2. What else they send is dropped."),
  lineEndings: z
    .enum(["reject", "normalize"])
    .default("reject")
    .describe("What to do with a bare CR or LF in a message: refuse it, or make it CRLF."),
  tls: z
    .enum(["starttls", "required", "implicit", "off"])
    .optional()
    .describe(
      "Needs the top-level `tls`. STARTTLS is offered when a key is configured, unless said otherwise; `required`: no mail before it.",
    ),
  profile: z
    .enum(["submission", "submissions"])
    .optional()
    .describe(
      "What users' own programs speak to: port 587 (`submission`: STARTTLS is required) or 465 (`submissions`: TLS from the start). Logins are required, and who is logged in may relay; the lists `connect` to `data` are its own. Each setting of it may be given otherwise.",
    ),
  auth: z
    .enum(["off", "offered", "required"])
    .optional()
    .describe(
      "AUTH, under TLS: not offered, offered, or required before any mail. Needs an authenticator. `off` unless a profile says otherwise.",
    ),
  authWithoutTls: z.boolean().default(false).describe("AUTH without TLS too: passwords go in clear."),
  authenticatedHeader: z
    .boolean()
    .default(false)
    .describe("Received says who was logged in, for everybody who reads the message."),
  banner: line.optional().describe("Text of the greeting after `220 hostname ESMTP`; `Postern` unless given."),
  policy: z.strictObject(lists).optional().describe("Lists of this listener, in place of the global ones."),
});

export const configSchema = z.strictObject({
  hostname: domain()
    .optional()
    .describe("Our name in the greeting, in EHLO and in Received. The system's hostname when that has a domain."),
  origin: domain()
    .optional()
    .describe(
      "The domain of addresses that are written without one. The first of our own domains with mailboxes, else `hostname`.",
    ),
  networks: networkList
    .default(["127.0.0.0/8", "::1/128"])
    .describe("Clients that may relay and whose sessions and rates are not limited: a list or a table."),
  domains: z
    .strictObject({
      local: domainClass.default([]).describe("Delivered by the maildir transport."),
      relay: domainClass.default([]).describe("Accepted and passed on by SMTP, with their subdomains."),
      virtualAlias: domainClass.default([]).describe("Accepted for addresses that are aliases."),
      virtualMailbox: domainClass.default([]).describe("Delivered by the maildir transport, without system users."),
    })
    .prefault({})
    .describe("Domains that are ours, by class. What is in none of them is relayed for `networks` alone."),
  recipientDelimiter: z
    .string()
    .regex(/^[\x21-\x7e]*$/)
    .max(4)
    .default("")
    .describe("Characters that divide a mailbox from its extension, as `+` in user+list@example.com."),
  listeners: z.array(listener).min(1).describe("Where SMTP is spoken."),
  tls: z
    .strictObject({
      key: path().describe("Private key, PEM."),
      cert: path().describe("Certificate with its chain, PEM."),
    })
    .optional()
    .describe("Key and certificate for STARTTLS and TLS. Without them neither is offered."),
  plugins: z
    .array(
      z.union(
        [
          z.string().min(1),
          z.tuple([z.string().min(1)]),
          z.tuple([z.string().min(1), z.record(z.string(), z.unknown())]),
        ],
        wanted('a name such as "@postern/plugin-access", or ["name", { options }]'),
      ),
    )
    .default([])
    .describe("Plugins in order: package names, or paths from the config's folder."),
  policy: z
    .strictObject({
      ...lists,
      classes: z
        .record(z.string().regex(/^[A-Za-z]\w*$/), policyList)
        .default({})
        .describe("Own words: a name for a list of words."),
      delayReject: z
        .boolean()
        .default(true)
        .describe("Keep a refusal by `connect`, `helo` or `mail` until RCPT TO, so that the log knows the recipient."),
      showDecision: z
        .boolean()
        .default(false)
        .describe("End refusals with ` [d=id]`, the id by which `postern why` finds the decision in the log."),
      mixed: z
        .enum(["reject-all", "discard", "quarantine"])
        .default("reject-all")
        .describe(
          "A message refused for some recipients only: refuse it for all, or drop it or put it aside for the refused.",
        ),
    })
    .prefault({})
    .describe(
      "What is asked at each stage. The end of a list is permit; the relay guard stands whatever the lists say.",
    ),
  rewrite: z
    .record(z.string(), z.unknown())
    .optional()
    .describe("Options of `@postern/plugin-rewrite`, which needs no entry in `plugins` then."),
  relayhost: nextHops()
    .optional()
    .describe(
      "Where mail that is not ours to keep goes, in place of its domain's MX: a next-hop, or several that are tried in order.",
    ),
  senderRelayhosts: tables()
    .optional()
    .describe(
      "Tables of relayhosts by envelope sender: an address, `@domain`, or `<>` for the null sender. `DUNNO` is the `relayhost`.",
    ),
  senderTransports: tables()
    .optional()
    .describe("Tables of `transport:nexthop` by envelope sender, for mail to domains that are not ours."),
  transports: z
    .strictObject({
      local: transport().optional().describe("For domains of the class `local`; `maildir` unless given."),
      virtualMailbox: transport()
        .optional()
        .describe("For domains of the class `virtualMailbox`; `maildir` unless given."),
      relay: transport().optional().describe("For domains of the class `relay`; `smtp` unless given."),
      default: transport().optional().describe("For all other domains; `smtp` unless given."),
    })
    .prefault({})
    .describe("The transport of each class of domains, `transport` or `transport:nexthop`."),
  proxyInterfaces: z
    .array(z.union([z.ipv4(), z.ipv6()], { error: 'expected an address such as "192.0.2.1" or "2001:db8::1"' }))
    .default([])
    .describe("Addresses of NAT or load balancers through which mail comes to us: an MX there is ourselves."),
  routes: tables()
    .optional()
    .describe(
      "Transport tables: where a recipient or its domain goes, in place of what its class and `relayhost` say. Values are `transport:nexthop`.",
    ),
  queue: z
    .strictObject({
      directory: path().describe("The queue's folder. It is made (0700) when its parent exists."),
      minFree: size().default("100MB").describe("Free disk space below which no mail is taken (452)."),
      segmentSize: size({ min: "1MB", max: "1GB" })
        .default("64MB")
        .describe("Size at which a new segment file is begun."),
      minBackoff: duration({ min: "1s" })
        .default("5m")
        .describe("Wait after the first failed attempt; doubled each time."),
      maxBackoff: duration({ min: "1s" }).default("4000s").describe("Longest wait between attempts."),
      lifetime: duration().default("5d").describe("Age at which undeliverable mail is returned."),
    })
    .describe("The queue."),
  state: z
    .strictObject({
      directory: path()
        .optional()
        .describe("Folder of the state store; `state` beside `queue.directory` unless given."),
      store: z.enum(["sqlite", "memory"]).default("sqlite").describe("Where greylists, counters and caches are kept."),
    })
    .prefault({})
    .describe("State of plugins that outlives a restart."),
  quarantine: z
    .strictObject({
      directory: path()
        .optional()
        .describe(
          "Its folder; `quarantine` beside `queue.directory` unless given. Made (0700) with the first message.",
        ),
      lifetime: duration({ min: "1s", max: "36500d" }).default("30d").describe("Age at which a message is deleted."),
      maxSize: size({ min: "1MB" })
        .default("1GB")
        .describe("Size of all messages together. What would go beyond is not taken (452)."),
      minFree: size()
        .optional()
        .describe("Free disk space below which nothing is taken; `queue.minFree` unless given."),
    })
    .prefault({})
    .describe("Mail that is put aside."),
  delivery: z
    .strictObject({
      concurrency: count().default(20).describe("Parallel deliveries to one destination at most."),
      total: count().default(100).describe("Parallel deliveries in all."),
      timeout: duration({ min: "10s" }).default("30m").describe("Longest time of one delivery attempt."),
    })
    .prefault({})
    .describe("Delivery."),
  bounce: z
    .strictObject({
      sizeLimit: size().default("50KB").describe("How much of a returned message goes into its bounce."),
      lifetime: duration().default("5d").describe("Age at which an undeliverable bounce is dropped."),
    })
    .prefault({})
    .describe("Bounces."),
  dns: z
    .strictObject({
      servers: z.array(nameServer()).min(1).optional().describe("Resolvers; the system's unless given."),
      timeout: duration({ min: "100ms" }).default("5s").describe("Wait for one server's answer."),
      attempts: count().default(2).describe("Rounds over all servers."),
      deadline: duration({ min: "100ms" })
        .default("8s")
        .describe("Wait for one question's answer, over all servers and rounds."),
      cacheEntries: count().default(10_000).describe("Answers kept in memory, up to about 32 MB."),
      minTtl: duration().default("0s").describe("Shortest time for which an answer is kept, whatever its TTL."),
      maxTtl: duration().default("1d").describe("Longest time for which an answer is kept."),
      maxNegativeTtl: duration().default("5m").describe("Longest time for which it is kept that nothing is there."),
      failureTtl: duration({ max: "5m" })
        .default("5s")
        .describe("How long a question without an answer is not asked again."),
    })
    .prefault({})
    .describe("DNS."),
  limits: z
    .strictObject({
      messageSize: size({ min: "64KB" }).default("50MB").describe("Largest message."),
      recipients: count().default(1000).describe("Recipients of one message."),
      sessions: count().default(1000).describe("Sessions at one time."),
      sessionsPerClient: countOrNone().default(50).describe("Sessions of one client address at one time; 0: no limit."),
      errors: count().default(20).describe("Commands refused for good after which a session is ended."),
      junkCommands: count()
        .default(100)
        .describe(
          "NOOP, RSET, VRFY and the like, and refusals for now but of recipients, after which a session is ended.",
        ),
      commandLine: size({ min: "512B", max: "64KB" }).default("2KB").describe("Longest command line."),
      commandTimeout: duration({ min: "1s" }).default("5m").describe("Wait for the next command."),
      dataTimeout: duration({ min: "1s" }).default("1h").describe("Longest time for the content of one message."),
      minRate: size().default("128B").describe("Slowest client in bytes a second while it sends a message."),
      headerSize: size({ min: "1KB" }).default("1MB").describe("Largest header section."),
      hops: count().default(50).describe("Received fields after which a message is taken to go round in a loop."),
    })
    .prefault({})
    .describe("Limits on clients."),
  processes: z.enum(["single"]).default("single").describe("How roles are spread over processes."),
  control: z
    .strictObject({
      directory: path()
        .optional()
        .describe("Folder (0700) of the control socket; `run` beside `queue.directory` unless given."),
    })
    .prefault({})
    .describe("How commands reach the running gateway."),
});

/** A config as it is written. */
export type Config = z.input<typeof configSchema>;
/** The same with defaults and numbers, paths and names not yet resolved. */
export type ParsedConfig = z.output<typeof configSchema>;

/** What a config file may export when it computes its config. */
export interface ConfigEnvironment {
  readonly env: Readonly<Record<string, string | undefined>>;
}
export type ConfigExport = Config | ((environment: ConfigEnvironment) => Config | Promise<Config>);

/** Gives a config its type: `export default defineConfig({ … })`. */
export function defineConfig<const C extends ConfigExport>(config: C): C {
  return config;
}

/** The error of a union as one sentence in place of those of all its branches. */
function wanted(expected: string): { error: string } {
  return { error: `expected ${expected}` };
}
