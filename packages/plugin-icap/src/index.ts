/** Scanning by an ICAP service (RFC 3507). */
export {};
