/** Keys as a stranger may send them, for tables: none is in a table that a test makes. */

/** Texts that end a line, a query, a filter or a protocol's word, hide themselves, or are very long. */
export function hostileKeys(): readonly string[] {
  return [
    "",
    " ",
    "\0",
    "a\0b",
    "a\r\nget b",
    "\n",
    "%s%u%d%1%%",
    "$1 ${1} $(id)",
    "' OR '1'='1",
    '" OR ""="',
    "a'; DROP TABLE aliases; --",
    "\\",
    "\\'",
    "*",
    "*)(objectClass=*",
    "(|(a=*",
    "a\\2ab",
    "user@[IPv6:::1]",
    '"a b"@example.invalid',
    "@",
    "@@",
    "ünï@exämple.invalid",
    "\u{1f600}".repeat(100),
    "\ud800",
    "İıß",
    "__proto__",
    "constructor",
    "x".repeat(100_000),
  ];
}

/** Keys that a table which cuts, unquotes, decodes or compares too kindly would take for `key`. */
export function likeness(key: string): readonly string[] {
  return [
    `${key}\0`,
    `${key}\0x`,
    `${key}\n`,
    `${key}\r\n`,
    `${key}\nx`,
    `x\n${key}`,
    `\0${key}`,
    `${key}'`,
    `${key}' OR '1'='1`,
    `${key}*`,
    "*",
    "%",
    `${key}%00`,
    `${key}${"x".repeat(70_000)}`,
  ].filter((other) => other !== key);
}
