/** Result codes of LDAP (RFC 4511 §4.1.9): their names for the log, and what they say about the next question. */

export const success = 0;
export const noSuchObject = 32;

const names: Readonly<Record<number, string>> = {
  1: "operationsError",
  2: "protocolError",
  3: "timeLimitExceeded",
  4: "sizeLimitExceeded",
  7: "authMethodNotSupported",
  8: "strongerAuthRequired",
  10: "referral",
  11: "adminLimitExceeded",
  12: "unavailableCriticalExtension",
  13: "confidentialityRequired",
  14: "saslBindInProgress",
  17: "undefinedAttributeType",
  18: "inappropriateMatching",
  21: "invalidAttributeSyntax",
  32: "noSuchObject",
  33: "aliasProblem",
  34: "invalidDNSyntax",
  36: "aliasDereferencingProblem",
  48: "inappropriateAuthentication",
  49: "invalidCredentials",
  50: "insufficientAccessRights",
  51: "busy",
  52: "unavailable",
  53: "unwillingToPerform",
  54: "loopDetect",
  80: "other",
};

/** "busy (51)". */
export function statusName(status: number): string {
  const name = names[status];
  return name === undefined ? `result code ${status}` : `${name} (${status})`;
}

/** This server cannot do its work now; another may. */
export function isServerUnfit(status: number): boolean {
  return status === 51 || status === 52;
}

const ofTheKey: ReadonlySet<number> = new Set([3, 4, 11, 18, 21, 32, 33, 34, 36, 54]);

/** The server works, but this one question has no answer: too many entries, a key that is no name. */
export function isOnlyThisKey(status: number): boolean {
  return ofTheKey.has(status);
}
