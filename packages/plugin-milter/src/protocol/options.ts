/** What the two sides of the milter protocol agree on at the beginning: version, actions, steps. Names are libmilter's. */

/** Versions 2 to 6 are spoken; 5 was never released and counts as 4. */
export const oldestVersion = 2;
export const newestVersion = 6;

/** SMFIF_*: what a filter may do at the end of a message. */
export const actions = Object.freeze({
  addHeaders: 0x001,
  changeBody: 0x002,
  addRecipients: 0x004,
  deleteRecipients: 0x008,
  changeHeaders: 0x010,
  quarantine: 0x020,
  changeSender: 0x040,
  addRecipientsWithArguments: 0x080,
  /** The filter says which macros it wants. */
  setMacros: 0x100,
});
export const allActions = 0x1ff;

/** SMFIP_*: steps that a filter wants to be left out (`no…`), or says that it will not answer (`noReplyTo…`), and what else it knows. */
export const steps = Object.freeze({
  noConnect: 0x00_0001,
  noHelo: 0x00_0002,
  noMail: 0x00_0004,
  noRecipient: 0x00_0008,
  noBody: 0x00_0010,
  noHeaders: 0x00_0020,
  noEndOfHeaders: 0x00_0040,
  noReplyToHeader: 0x00_0080,
  noUnknown: 0x00_0100,
  noData: 0x00_0200,
  /** The filter may answer `skip` to a part of the body. */
  skip: 0x00_0400,
  /** The filter wants to hear of recipients that the mail server refused. */
  refusedRecipients: 0x00_0800,
  noReplyToConnect: 0x00_1000,
  noReplyToHelo: 0x00_2000,
  noReplyToMail: 0x00_4000,
  noReplyToRecipient: 0x00_8000,
  noReplyToData: 0x01_0000,
  noReplyToUnknown: 0x02_0000,
  noReplyToEndOfHeaders: 0x04_0000,
  noReplyToBody: 0x08_0000,
  /** Header values come and go with the white space behind their colon. */
  leadingSpace: 0x10_0000,
  /** Packets with up to 256 KiB - 1 or 1 MiB - 1 octets of data, in place of 64 KiB - 1. */
  packets256K: 0x1000_0000,
  packets1M: 0x2000_0000,
});
export const allSteps = 0x301f_ffff;

/** The steps that a version knows. */
const stepsByVersion: Readonly<Record<number, number>> = { 2: 0x7f, 3: 0x17f, 4: 0x37f, 5: 0x37f, 6: allSteps };
const actionsByVersion: Readonly<Record<number, number>> = { 2: 0x3f, 3: 0x3f, 4: 0x3f, 5: 0x3f, 6: allActions };

export interface Terms {
  readonly version: number;
  /** Of `actions`. */
  readonly actions: number;
  /** Of `steps`. */
  readonly steps: number;
}

/** All that a version has. */
export function termsOf(version: number): Terms {
  const known = Math.min(Math.max(version, oldestVersion), newestVersion);
  return { version: known, actions: actionsByVersion[known] ?? 0, steps: stepsByVersion[known] ?? 0 };
}

/** Octets of data in one packet of the body: MILTER_CHUNK_SIZE, or what the terms allow. */
export function mostDataOctets({ steps: agreed }: Pick<Terms, "steps">): number {
  if ((agreed & steps.packets1M) !== 0) return 1024 * 1024 - 1;
  return (agreed & steps.packets256K) !== 0 ? 256 * 1024 - 1 : 64 * 1024 - 1;
}

/** The stages for which a filter may say its macros (SMFIM_*), by the number on the wire. */
export const macroStages = Object.freeze([
  "connect",
  "helo",
  "mail",
  "recipient",
  "data",
  "endOfMessage",
  "endOfHeaders",
] as const);
export type MacroStage = (typeof macroStages)[number];
