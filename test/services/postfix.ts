// A whole Postfix of its own: configuration, queue, data and log below one folder, its listener on 127.0.0.1. Root only,
// since Postfix's processes change their users. Two forms: a peer that stores mail in Maildirs, and a relay as packaged.
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificate } from "./certificate.ts";
import { ask, freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

/** main.cf: parameter → value. */
export type MainSettings = Readonly<Record<string, string>>;

interface InstanceOptions {
  /** Everything goes below `name` in this folder; each parent must be open to other users. */
  readonly folder: string;
  /** `postfix`; two instances in one folder need two names. */
  readonly name?: string;
  readonly port?: number;
  /** More settings, and such as replace the default ones. */
  readonly main?: MainSettings;
  /** More lines for master.cf. */
  readonly master?: readonly string[];
  /** A name server's address that all its processes ask on port 53, in place of the system's: they see a resolv.conf of their own. */
  readonly nameServer?: string;
}

export interface PostfixPeerOptions extends InstanceOptions {
  /**
   * Addresses with a Maildir each; `@domain` takes every other address of that domain into one. Other addresses of the
   * same domains are refused with 550 5.1.1. `alice@example.test`, `bob@example.test` when not given.
   */
  readonly mailboxes?: readonly string[];
  /** STARTTLS with a certificate of its own. Not offered when not given. */
  readonly tls?: boolean;
}

export interface PostfixRelayOptions extends InstanceOptions {
  /** Where all mail goes, such as `[127.0.0.1]:2526`. */
  readonly relayhost: string;
}

export interface Postfix extends Service {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The configuration folder, for Postfix's own commands: `-c`. */
  readonly config: string;
  /** Its mail log. */
  mailLog(): string;
  /** What is in its queue: ids, a `!` or `*` behind them for held and active ones is left out. */
  queueIds(): string[];
  /** Tries everything in the queue now. */
  flush(): void;
}

export interface PostfixPeer extends Postfix {
  /** The Maildir of an address or of an `@domain` given in `mailboxes`. */
  maildir(mailbox: string): string;
  /** PEM file to trust; only with `tls`. */
  readonly certificate: string | undefined;
}

/** A next-hop: takes mail from loopback and stores it in Maildirs. */
export async function startPostfix(options: PostfixPeerOptions): Promise<PostfixPeer> {
  const mailboxes = options.mailboxes ?? ["alice@example.test", "bob@example.test"];
  const home = openHome(options);
  const mail = join(home, "mail");
  const nobody = idOf("nobody", "-u");
  const group = idOf("nobody", "-g");
  mkdirSync(mail, { recursive: true });
  chownSync(mail, nobody, group);
  const table = join(home, "mailboxes");
  writeFileSync(table, mailboxes.map((mailbox) => `${mailbox} ${folderName(mailbox)}/\n`).join(""));
  const domains = new Set(mailboxes.map((mailbox) => mailbox.slice(mailbox.lastIndexOf("@") + 1)));
  const tls = options.tls === true ? makeCertificate(home, ["mx.example.test", "localhost"]) : undefined;
  const instance = await startInstance(home, options, {
    myhostname: "mx.example.test",
    mydestination: "",
    mynetworks: "127.0.0.0/8",
    alias_maps: "",
    local_recipient_maps: "",
    virtual_mailbox_domains: [...domains].join(", "),
    virtual_mailbox_base: mail,
    virtual_mailbox_maps: `texthash:${table}`,
    virtual_uid_maps: `static:${nobody}`,
    virtual_gid_maps: `static:${group}`,
    virtual_mailbox_limit: "0",
    message_size_limit: "0",
    smtp_dns_support_level: "disabled",
    // A next-hop that never throttles: what is tested is the sender.
    smtpd_client_connection_count_limit: "0",
    in_flow_delay: "0",
    minimal_backoff_time: "2s",
    maximal_backoff_time: "5s",
    queue_run_delay: "2s",
    ...(tls === undefined
      ? {}
      : { smtpd_tls_security_level: "may", smtpd_tls_cert_file: tls.cert, smtpd_tls_key_file: tls.key }),
  });
  return { ...instance, maildir: (mailbox) => join(mail, folderName(mailbox)), certificate: tls?.cert };
}

/**
 * Postfix with the settings of Debian's package, relaying everything from loopback to one next-hop. What differs from
 * the package is only what a second instance needs: folders, port, no chroot; to be compared with, so nothing is tuned.
 */
export async function startPostfixRelay(options: PostfixRelayOptions): Promise<Postfix> {
  return startInstance(openHome(options), options, {
    smtpd_banner: "$myhostname ESMTP $mail_name (Debian/GNU)",
    biff: "no",
    append_dot_mydomain: "no",
    myhostname: "relay.example.test",
    myorigin: "$myhostname",
    mydestination: "$myhostname, localhost",
    mynetworks: "127.0.0.0/8",
    smtpd_relay_restrictions: "permit_mynetworks permit_sasl_authenticated defer_unauth_destination",
    alias_maps: "",
    mailbox_size_limit: "0",
    recipient_delimiter: "+",
    smtp_tls_CApath: "/etc/ssl/certs",
    smtp_tls_security_level: "may",
    relayhost: options.relayhost,
  });
}

async function startInstance(home: string, options: InstanceOptions, settings: MainSettings): Promise<Postfix> {
  const port = options.port ?? (await freePort());
  const config = join(home, "etc");
  const data = join(home, "data");
  const log = join(home, "mail.log");
  for (const folder of [config, data, join(home, "queue")]) mkdirSync(folder, { recursive: true });
  chownSync(data, idOf("postfix", "-u"), idOf("postfix", "-g"));
  const main: MainSettings = {
    compatibility_level: "3.6",
    config_directory: config,
    queue_directory: join(home, "queue"),
    data_directory: data,
    maillog_file: log,
    maillog_file_prefixes: "/",
    inet_interfaces: "127.0.0.1",
    inet_protocols: "ipv4",
    ...settings,
    ...options.main,
  };
  const lines = Object.entries(main).map(([name, value]) => `${name} = ${value}\n`);
  writeFileSync(join(config, "main.cf"), lines.join(""));
  writeFileSync(join(config, "master.cf"), composeMaster(port, options.master ?? []));
  // Makes the queue's folders with their owners and rights.
  execFileSync(programPath("postfix"), ["-c", config, "check"], { stdio: ["ignore", "ignore", "pipe"] });
  const daemons = execFileSync(programPath("postconf"), ["-c", config, "-h", "daemon_directory"], { encoding: "utf8" });
  // `-s` keeps master in the foreground, so that its id is the one we know.
  const master = [join(daemons.trim(), "master"), "-c", config, "-s"] as const;
  const [program, ...args] =
    options.nameServer === undefined ? master : withNameServer(home, options.nameServer, master);
  const service = await startService(program, args, {
    logFile: join(home, "master.log"),
    env: { ...process.env, MAIL_CONFIG: config },
    ownGroup: true,
    ready: async () => {
      const banner = await ask(port, "QUIT\r\n");
      if (!banner.startsWith("220 ")) throw new Error(`Postfix answered ${JSON.stringify(banner)}`);
    },
  });
  const command = (name: string, ...args: string[]) =>
    execFileSync(programPath(name), ["-c", config, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return {
    ...service,
    host: "127.0.0.1",
    port,
    config,
    mailLog: () => readFileSync(log, "utf8"),
    queueIds: () => command("postqueue", "-j").split("\n").flatMap(queueId),
    flush: () => void command("postqueue", "-f"),
  };
}

/** In a mount namespace of its own, where another file lies over /etc/resolv.conf; each command becomes the next. */
function withNameServer(home: string, address: string, command: readonly string[]): [string, ...string[]] {
  const file = join(home, "resolv.conf");
  writeFileSync(file, `nameserver ${address}\noptions timeout:5 attempts:3\n`);
  const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
  return [programPath("unshare"), "--mount", "sh", "-c", script, file, ...command];
}

/** The packaged services without the public listener, without chroot and without pipes to other programs; then ours. */
function composeMaster(port: number, more: readonly string[]): string {
  const [debian, others] = ["/usr/share/postfix/master.cf.dist", "/etc/postfix/master.cf"] as const;
  const packaged = readFileSync(existsSync(debian) ? debian : others, "utf8").split("\n");
  const services = packaged
    .filter((line) => /^[a-z]/.test(line))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, type, , , , , , command]) => type !== "inet" && command !== "pipe" && command !== "postlogd")
    .map((fields) => fields.toSpliced(4, 1, "n").join(" "));
  const own = [`127.0.0.1:${port} inet n - n - - smtpd`, "postlog unix-dgram n - n - 1 postlogd"];
  return `${[...services, ...own, ...more].join("\n")}\n`;
}

function openHome(options: InstanceOptions): string {
  const home = join(options.folder, options.name ?? "postfix");
  mkdirSync(home, { recursive: true });
  for (const folder of [options.folder, home]) chmodSync(folder, 0o755);
  return home;
}

function idOf(user: string, kind: "-u" | "-g"): number {
  return Number(execFileSync("id", [kind, user], { encoding: "utf8" }));
}

function folderName(mailbox: string): string {
  return mailbox.replace(/^@/, "all@");
}

/** `postqueue -j` writes one JSON object a line. */
function queueId(line: string): string[] {
  if (line === "") return [];
  const entry: unknown = JSON.parse(line);
  return typeof entry === "object" && entry !== null && "queue_id" in entry ? [String(entry.queue_id)] : [];
}
