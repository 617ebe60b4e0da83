/** All of the plugin's rewriting as one rewriter of the seam. */
import {
  after,
  canonicalAddress,
  foldKey,
  isOwnClient,
  type AddressPlace,
  type MaybePromise,
  type RewriteAddress,
  type RewriteAsk,
  type Rewriter,
  type TableSpec,
  type UsedTable,
} from "@postern/core";
import { anyAddress, formOf, type FormOptions } from "./address-form.ts";
import { createAddressTables, type AddressTables, type AddressTablesScope } from "./address-tables.ts";
import { createCanonical, type PlacedTables } from "./canonical-address.ts";
import { rewriteEnvelope, type EnvelopeSteps } from "./envelope.ts";
import { createMasquerade } from "./masquerade.ts";
import type { RewriteOptions } from "./options.ts";

export interface RewritingScope extends Omit<AddressTablesScope, "appendDomain"> {
  readonly use: (spec: TableSpec) => UsedTable;
}

export interface Rewriting {
  readonly rewriter: Rewriter;
  /** Rejects with `ConfigError` for the first wrong value of a table that is in memory. */
  readonly check: () => Promise<void>;
}

/** Opens nothing: tables are handles. */
export function createRewriting(options: RewriteOptions, { use, ...scope }: RewritingScope): Rewriting {
  const { addresses } = scope;
  const { appendDomain, propagateExtensions } = options;
  const opened: { readonly tables: AddressTables; readonly most?: number }[] = [];
  const open = (name: string, specs: readonly TableSpec[], propagates = false, most = 1): AddressTables | undefined => {
    if (specs.length === 0) return undefined;
    const tables = createAddressTables({ ...scope, appendDomain, name, tables: specs.map(use), propagates });
    opened.push({ tables, most });
    return tables;
  };
  const propagates = (kind: RewriteOptions["propagateExtensions"][number]): boolean =>
    propagateExtensions.includes(kind);
  const one = (name: string, specs: readonly TableSpec[]) => open(name, specs, propagates("canonical"), Infinity);
  const senderCanonical = one("sender canonical", options.senderCanonical);
  const recipientCanonical = one("recipient canonical", options.recipientCanonical);
  const shared = one("canonical", options.canonical);
  const virtual = open("virtual", options.virtual, propagates("virtual"), Infinity);
  const generic = open("generic", options.generic, propagates("generic"), Infinity);
  const relocated =
    options.relocated.length === 0
      ? undefined
      : createAddressTables({ ...scope, name: "relocated", tables: options.relocated.map(use), propagates: false });
  const placed: PlacedTables[] = [
    ...placedTables(senderCanonical, options.senderCanonicalClasses),
    ...placedTables(recipientCanonical, options.recipientCanonicalClasses),
    ...placedTables(shared, options.canonicalClasses),
  ];
  const masquerade =
    options.masquerade.length === 0
      ? undefined
      : {
          rewrite: createMasquerade(options.masquerade, options.masqueradeExceptions),
          places: options.masqueradeClasses,
        };
  const canonical = createCanonical({ tables: placed, masquerade });
  const form = (address: string): string =>
    formOf(address, { origin: addresses.origin, domain: appendDomain }) ?? address;
  const steps: EnvelopeSteps = {
    form,
    isMailerDaemon: (sender) => foldKey(sender) === foldKey(form("mailer-daemon")),
    canonical,
    alwaysBcc: options.alwaysBcc,
    senderBcc: open("sender bcc", options.senderBcc),
    recipientBcc: open("recipient bcc", options.recipientBcc),
    virtual,
  };
  const replacing = placed.filter(({ places }) => places.includes("envelope_recipient")).map(({ tables }) => tables);
  if (virtual !== undefined) replacing.push(virtual);

  /** The domains for incomplete addresses in this message's header; `undefined`: it is left alone. */
  function headerForm({ session }: RewriteAsk): FormOptions | undefined {
    const { headerClients, remoteHeaderDomain, appendOrigin, swapBangpath, percentHack } = options;
    const own = session === undefined || isOwnClient(session);
    if (headerClients === "all" || (headerClients === "own" && own)) {
      return { origin: appendOrigin ? addresses.origin : undefined, domain: appendDomain, swapBangpath, percentHack };
    }
    if (remoteHeaderDomain === undefined) return undefined;
    return {
      origin: appendOrigin ? remoteHeaderDomain : undefined,
      domain: appendDomain === undefined ? undefined : remoteHeaderDomain,
      swapBangpath,
      percentHack,
    };
  }

  function headerAddress(
    written: string,
    place: AddressPlace,
    read: FormOptions,
    ask: RewriteAsk,
  ): MaybePromise<string> {
    const known = formOf(written, read);
    if (known === undefined) return written;
    if (!isSame(known, written)) ask.trace?.({ name: "qualify", place, before: written, after: [known] });
    return after(canonical(known, place, ask.trace), (address) => (isSame(address, written) ? written : address));
  }

  function outboundAddress(
    tables: AddressTables,
    written: string,
    place: AddressPlace,
    ask: RewriteAsk,
  ): MaybePromise<string> {
    const known = formOf(written, { origin: undefined });
    if (known === undefined) return written;
    return after(tables.replace(known, { place, trace: ask.trace }), (found) =>
      found?.[0] === undefined || isSame(found[0], written) ? written : found[0],
    );
  }

  const rewriter: Rewriter = {
    name: "rewrite",
    rewrite: (envelope, ask) => rewriteEnvelope(envelope, steps, ask),
    forHeader(ask) {
      const read = headerForm(ask);
      return read && ((address, place) => headerAddress(address, place, read, ask));
    },
    ...(replacing.length > 0 && { isAlias: (address: string) => isAnyFrom(0, address) }),
    ...(generic !== undefined && {
      forOutbound:
        (ask: RewriteAsk): RewriteAddress =>
        (address, place) =>
          outboundAddress(generic, address, place, ask),
    }),
    ...(relocated !== undefined && { movedTo: (address: string) => relocated.value(address) }),
  };

  function isAnyFrom(at: number, address: string): MaybePromise<boolean> {
    const tables = replacing[at];
    if (tables === undefined) return false;
    return after(tables.has(form(address)), (found) => found || isAnyFrom(at + 1, address));
  }

  return Object.freeze({
    rewriter: Object.freeze(rewriter),
    async check() {
      for (const { tables, most } of opened) await tables.check(most);
    },
  });
}

function placedTables(tables: AddressTables | undefined, places: readonly AddressPlace[]): PlacedTables[] {
  return tables === undefined ? [] : [{ tables, places }];
}

/** Quotes that say nothing and letters of the domain do not make another address. */
function isSame(address: string, written: string): boolean {
  return address === written || address === canonicalAddress(written, anyAddress);
}
