/** Macros: what a milter is told beside a command. Names and values are those that Postfix sends. */
import {
  after,
  type AddressClass,
  type Gateway,
  type MaybePromise,
  type Recipient,
  type Reply,
  type Session,
  type Transaction,
} from "@postern/core";
import { toOctets, type MacroStage, type Macros, type WantedMacros } from "../protocol/index.ts";

/** Postfix's defaults (`milter_connect_macros` and so on), but that the queue's id is known from MAIL on. */
export const usualMacros: Readonly<Record<MacroStage, readonly string[]>> = Object.freeze({
  connect: ["j", "{daemon_name}", "{daemon_addr}", "v", "_"],
  helo: ["{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"],
  mail: ["i", "{auth_type}", "{auth_authen}", "{auth_author}", "{mail_addr}", "{mail_host}", "{mail_mailer}"],
  recipient: ["i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"],
  data: ["i"],
  endOfHeaders: ["i"],
  endOfMessage: ["i"],
});

export interface MacroSettings {
  /** In place of the usual ones, unless the milter itself says what it wants. */
  readonly names: Readonly<Partial<Record<MacroStage, readonly string[] | undefined>>>;
  readonly values: Readonly<Record<string, string>>;
}

/** What is known when a command is told. */
export interface Occasion {
  readonly session: Session;
  readonly transaction?: Omit<Transaction, "recipients"> | undefined;
  readonly recipient?: Recipient | undefined;
  /** What the recipient was refused with. */
  readonly refusal?: Reply | undefined;
}

/** Of the gateway. */
export interface MacroScope {
  readonly hostname: string;
  readonly relayhost: string | undefined;
  readonly classOf: Gateway["addresses"]["classOf"];
  /** Sessions that this client has now. */
  sessionsOf(address: string | undefined): number;
}

interface Destination {
  readonly host: string;
  readonly mailer: string;
}

const needsSender = /^\{mail_(?:host|mailer)\}$/;
const needsRecipient = /^\{rcpt_(?:host|mailer)\}$/;

export class MacroBook {
  readonly #settings: MacroSettings;
  readonly #scope: MacroScope;

  constructor(settings: MacroSettings, scope: MacroScope) {
    this.#settings = settings;
    this.#scope = scope;
  }

  /** `undefined`: none is wanted at this stage. Those of which nothing is known are left out. */
  at(stage: MacroStage, wanted: WantedMacros, occasion: Occasion): MaybePromise<Macros | undefined> {
    const names = wanted[stage] ?? this.#settings.names[stage] ?? usualMacros[stage];
    if (names.length === 0) return undefined;
    const { transaction, recipient, refusal } = occasion;
    const sender =
      transaction !== undefined && names.some((name) => needsSender.test(name)) ? transaction.sender : undefined;
    const to =
      recipient !== undefined && refusal === undefined && names.some((name) => needsRecipient.test(name))
        ? recipient.address
        : undefined;
    return after(this.#destinationOf(sender), (from) =>
      after(this.#destinationOf(to), (next) => this.#macros(names, occasion, from, next)),
    );
  }

  #macros(
    names: readonly string[],
    occasion: Occasion,
    from: Destination | undefined,
    to: Destination | undefined,
  ): Macros {
    const macros: Record<string, string> = {};
    for (const name of names) {
      const value = this.#settings.values[name] ?? this.#value(name, occasion, from, to);
      if (value !== undefined) macros[name] = toOctets(value);
    }
    return macros;
  }

  #value(
    name: string,
    { session, transaction, recipient, refusal }: Occasion,
    from: Destination | undefined,
    to: Destination | undefined,
  ): string | undefined {
    const { client, server, tls, auth } = session;
    switch (name) {
      case "j":
      case "{daemon_name}":
        return this.#scope.hostname;
      case "{daemon_addr}":
        return server.address;
      case "{daemon_port}":
        return String(server.port);
      case "v":
        return "Postern";
      case "_": {
        const forged = client.name.toLowerCase() === client.reverseName.toLowerCase() ? "" : " (may be forged)";
        return `${client.reverseName} [${client.address ?? "unknown"}]${forged}`;
      }
      case "{client_addr}":
        return client.address ?? "unknown";
      case "{client_name}":
        return client.name;
      case "{client_port}":
        return String(client.port ?? 0);
      case "{client_ptr}":
        return client.reverseName;
      case "{client_resolve}":
        return resolutionOf(session);
      case "{client_connections}":
        return String(this.#scope.sessionsOf(client.address));
      case "{tls_version}":
        return tls?.protocol;
      case "{cipher}":
        return tls?.cipher;
      case "{cipher_bits}":
        return tls === undefined ? undefined : String(tls.bits);
      case "{auth_type}":
        return auth?.mechanism;
      case "{auth_authen}":
        return auth?.identity;
      case "{auth_author}":
        return transaction?.submitter === "<>" ? undefined : transaction?.submitter;
      case "i":
        return transaction?.id;
      case "{mail_addr}":
        return transaction?.sender;
      case "{mail_host}":
        return from?.host;
      case "{mail_mailer}":
        return from?.mailer;
      case "{rcpt_addr}":
        return refusal === undefined ? recipient?.address : withoutAddress(refusal.text);
      case "{rcpt_host}":
        return refusal === undefined ? to?.host : refusal.enhanced;
      case "{rcpt_mailer}":
        return refusal === undefined ? to?.mailer : "error";
      default:
        return undefined;
    }
  }

  /** A table that could not be asked leaves it open: a macro is no reason to put mail off. */
  #destinationOf(address: string | undefined): MaybePromise<Destination | undefined> {
    if (address === undefined) return undefined;
    // Bounces go nowhere, which is here.
    if (address === "") return { host: this.#scope.hostname, mailer: "local" };
    const domain = address.slice(address.lastIndexOf("@") + 1);
    const { hostname, relayhost, classOf } = this.#scope;
    const named = (kind: AddressClass): Destination => {
      if (kind === "local") return { host: hostname, mailer: "local" };
      if (kind === "virtualMailbox") return { host: domain, mailer: "virtual" };
      if (kind === "virtualAlias") return { host: domain, mailer: "error" };
      return { host: relayhost ?? domain, mailer: kind === "relay" ? "relay" : "smtp" };
    };
    try {
      const known = classOf(domain);
      return known instanceof Promise ? known.then(named, () => undefined) : named(known);
    } catch {
      return undefined;
    }
  }
}

/** `<user@example.test>: Relay access denied`: why, without whom. */
function withoutAddress(text: string): string {
  return text.replace(/^<\S*>: /, "");
}

function resolutionOf({ client }: Session): string {
  if (client.nameStatus === "ok") return "OK";
  if (client.nameStatus === "temporary") return "TEMP";
  return client.reverseName === "unknown" ? "FAIL" : "FORGED";
}
