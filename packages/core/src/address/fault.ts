/** Why a text is no address. */

/** Every reason with a bland text that a peer may read: it repeats nothing of the input. */
export const addressFaults = Object.freeze({
  empty: "empty address",
  brackets: "address is not enclosed in angle brackets",
  control: "control character in address",
  nonAscii: "non-ASCII address without SMTPUTF8",
  localPart: "malformed local part",
  noDomain: "address without domain",
  domain: "malformed domain",
  literal: "malformed address literal",
  route: "malformed source route",
  tooLong: "address too long",
});

export type AddressFaultReason = keyof typeof addressFaults;

export interface AddressFault {
  readonly ok: false;
  readonly reason: AddressFaultReason;
}

const faults = Object.freeze(
  Object.fromEntries(
    Object.keys(addressFaults).map((reason) => [
      reason,
      Object.freeze({ ok: false, reason: reason as AddressFaultReason }),
    ]),
  ),
) as Readonly<Record<AddressFaultReason, AddressFault>>;

export function addressFault(reason: AddressFaultReason): AddressFault {
  return faults[reason];
}
