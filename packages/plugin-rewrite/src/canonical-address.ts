/** One address through the steps that know a single one: form, sender's or recipient's canonical, canonical, masquerade (cleanup(8)). */
import { after, type AddressPlace, type MaybePromise, type RewriteTrace } from "@postern/core";
import type { AddressTables } from "./address-tables.ts";
import { replaceUntilSettled } from "./one-address.ts";

/** Tables, and the places of which they are asked. */
export interface PlacedTables {
  readonly tables: AddressTables;
  readonly places: readonly AddressPlace[];
}

export interface CanonicalSteps {
  /** In order. */
  readonly tables: readonly PlacedTables[];
  readonly masquerade:
    { readonly rewrite: (address: string) => string; readonly places: readonly AddressPlace[] } | undefined;
}

/** `address` in the form in which tables know it. */
export type Canonical = (address: string, place: AddressPlace, trace: RewriteTrace | undefined) => MaybePromise<string>;

export function createCanonical({ tables, masquerade }: CanonicalSteps): Canonical {
  const byPlace = new Map<AddressPlace, readonly AddressTables[]>();
  const tablesFor = (place: AddressPlace): readonly AddressTables[] => {
    const known = byPlace.get(place) ?? tables.filter(({ places }) => places.includes(place)).map((one) => one.tables);
    byPlace.set(place, known);
    return known;
  };

  function mask(address: string, place: AddressPlace, trace: RewriteTrace | undefined): string {
    if (masquerade === undefined || !masquerade.places.includes(place)) return address;
    const masked = masquerade.rewrite(address);
    if (masked !== address) trace?.({ name: "masquerade", place, before: address, after: [masked] });
    return masked;
  }

  return (address, place, trace) => {
    let answer: MaybePromise<string> = address;
    for (const asked of tablesFor(place)) {
      answer = after(answer, (known) => replaceUntilSettled(asked, known, { place, trace }));
    }
    return after(answer, (known) => mask(known, place, trace));
  };
}
