// Random access tables, and their files. A name in a list is the same for both servers, so both read the same files.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Chance } from "./chance.ts";
import { addresses, clients, heloNames, hosts, networkKeys, ownDomains, strangers, users } from "./names.ts";

/** Which keys make sense. */
export type KeyKind = "client" | "reverse" | "address" | "helo" | "mail";

export interface AccessTable {
  /** As it stands in a list: `texthash:/…/t0`. */
  readonly spec: string;
  /** `undefined` for an inline table. */
  readonly file?: string;
  readonly text?: string;
}

const addressCodes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((detail) => `5.1.${detail} known liar`);
const replies = ["", "go away", "4.2.9 not now", "5.7.1 policy", "5.9.999 odd", ...addressCodes];

export interface ResultOptions {
  /** A class or words. */
  readonly named: () => string;
  readonly mayDiscard: boolean;
}

/** An access(5) result. Names that strangers choose may not permit. */
function makeResult(chance: Chance, kind: KeyKind, { named, mayDiscard }: ResultOptions): string {
  return chance.weighed<() => string>([
    ...(kind === "address" || kind === "reverse"
      ? []
      : ([
          [5, () => "OK"],
          [1, () => "1234567"],
          [3, named],
        ] as const)),
    [4, () => "DUNNO"],
    [4, () => `REJECT ${chance.one(replies)}`.trim()],
    [2, () => `${chance.one(["554", "550", "521", "450", "421"])} ${chance.one(replies.slice(1))}`],
    [2, () => `DEFER ${chance.one(replies)}`.trim()],
    [2, () => `DEFER_IF_PERMIT ${chance.one(replies)}`.trim()],
    [2, () => `DEFER_IF_REJECT ${chance.one(replies)}`.trim()],
    [1, () => (mayDiscard ? chance.one(["HOLD", "DISCARD gone"]) : "HOLD")],
    [
      1,
      () =>
        chance.one([
          "WARN look at this",
          "INFO seen",
          "PREPEND X-Seen: yes",
          "BCC watch@local.test",
          "REDIRECT other@local.test",
        ]),
    ],
  ])();
}

function makeKey(chance: Chance, kind: KeyKind): string {
  const domain = (): string => {
    const name = chance.one([...strangers, ...Object.values(ownDomains), ...hosts]);
    return chance.weighed([
      [6, name],
      [2, name.slice(name.indexOf(".") + 1)],
      [1, `.${name}`],
      [1, name.toUpperCase()],
    ]);
  };
  switch (kind) {
    case "client":
    case "reverse":
      return chance.one([
        () => chance.one(clients).reverseName.replace(/^\[.*/, "unknown"),
        domain,
        () => chance.one([...addresses, ...networkKeys]),
      ])();
    case "address":
      return chance.one([domain, () => chance.one([...addresses, ...networkKeys])])();
    case "helo":
      return chance.one([() => chance.one(heloNames), domain])();
    case "mail":
      return chance.weighed<() => string>([
        [4, domain],
        [3, () => `${chance.one(users)}@${chance.one([...strangers, ...Object.values(ownDomains)])}`],
        [2, () => `${chance.one(users)}@`],
        [1, () => "<>"],
      ])();
  }
}

const cidrs = [
  "192.0.2.0/24",
  "198.51.100.0/28",
  "10.0.0.0/8",
  "2001:db8::/48",
  "!203.0.113.0/25",
  "0.0.0.0/0",
  "198.51.100.7",
];
const patterns = [
  "/^mail\\./",
  "/good\\.test$/",
  "/spam/",
  "!/\\.test$/",
  "/^joe@/",
  "/@(local|relay)\\.test$/",
  "/^[0-9.]+$/",
  "/^unknown$/",
  "/[.]dead[.]/i",
];

/** `name` is that of its file. */
export function makeTable(
  chance: Chance,
  kind: KeyKind,
  folder: string,
  name: string,
  options: ResultOptions,
): AccessTable {
  const result = (): string => makeResult(chance, kind, options);
  const type = chance.weighed([
    [6, "texthash"],
    [2, "inline"],
    [2, kind === "mail" || kind === "helo" ? "pcre" : "cidr"],
    [1, "regexp"],
  ] as const);
  if (type === "inline") {
    const entries = new Map(chance.some(1, 3, () => [makeKey(chance, kind).toLowerCase(), result()] as const));
    return { spec: `inline:{ ${[...entries].map(([key, value]) => `{ ${key} = ${value} }`).join(", ")} }` };
  }
  const keys =
    type === "texthash"
      ? chance.some(2, 9, () => makeKey(chance, kind))
      : chance.some(1, 4, () => chance.one(type === "cidr" ? cidrs : patterns));
  const unique = new Map(keys.map((key) => [key.toLowerCase(), key]));
  const text = [...unique.values()].map((key) => `${key} ${result()}\n`).join("");
  const file = join(folder, name);
  return { spec: `${type}:${file}`, file, text };
}

export function writeTable({ file, text }: AccessTable): void {
  if (file !== undefined) writeFileSync(file, text ?? "", { mode: 0o644 });
}
