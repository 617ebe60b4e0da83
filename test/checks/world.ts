// What both are given: tables of header and body checks, and messages of every shape, all from one seed.

/** Lines of a pcre table: pattern and value. */
export type Rules = readonly (readonly [pattern: string, value: string])[];

export interface World {
  readonly headerChecks: Rules;
  /** `undefined`: the tables of `headerChecks`. */
  readonly mimeHeaderChecks: Rules | undefined;
  readonly nestedHeaderChecks: Rules | undefined;
  readonly bodyChecks: Rules;
  readonly bodyChecksSizeLimit: number;
}

export interface Mail {
  /** In `X-Case`. */
  readonly id: string;
  readonly recipients: readonly string[];
  readonly content: Buffer;
}

export interface Dice {
  readonly below: (limit: number) => number;
  readonly pick: <T>(from: readonly T[]) => T;
  readonly chance: (probability: number) => boolean;
  readonly some: <T>(most: number, make: () => T) => T[];
}

export function diceOf(random: () => number): Dice {
  const below = (limit: number): number => Math.floor(random() * limit);
  return {
    below,
    pick: (from) => from[below(from.length)] as never,
    chance: (probability) => random() < probability,
    some: (most, make) => Array.from({ length: below(most + 1) }, make),
  };
}

const words = ["alpha", "beta", "gamma", "delta", "epsilon", "Zeta", "42", "money", "x@y.test", "=3D", "ünï", "<b>"];
const names = ["Subject", "X-A", "X-B", "x-a", "Comments", "Keywords", "Organization"];

/** In values `$FILTER$` is a port, known when the servers are. */
export function randomWorld(random: () => number): World {
  const dice = diceOf(random);
  const { pick, chance, some } = dice;
  const rules = (place: "header" | "body", most: number): Rules => some(most, () => rule(dice, place));
  const own = (place: "header" | "body"): Rules | undefined => (chance(0.5) ? undefined : rules(place, 4));
  return {
    // Postfix asks about the Received field that it puts on top, too.
    headerChecks: [["/^Received:/", "DUNNO"], ...rules("header", 5)],
    mimeHeaderChecks: own("header"),
    nestedHeaderChecks: own("header"),
    bodyChecks: chance(0.8) ? rules("body", 5) : [],
    bodyChecksSizeLimit: pick([0, 51_200, 51_200, 60, 200, 700]),
  };
}

function rule({ pick, below }: Dice, place: "header" | "body"): readonly [string, string] {
  const word = pick(words).replace(/[.<>@]/g, "\\$&");
  const pattern =
    place === "header"
      ? pick([
          `/^${pick(names)}:/`,
          `/^${pick(names)}:.*${word}/`,
          `/^X-(.)[^:]*: *(\\S+)/`,
          `/^Content-Type:.*(html|rfc822|mixed)/`,
          `/^Content-(Disposition|Transfer-Encoding|Description):/`,
          `/^(\\S+):.*\\n[ \\t]+(.*)$/`,
          `/${word}.*${pick(words).replace(/[.<>@]/g, "\\$&")}/s`,
          `/^.{60,}/`,
          `/filename=(\\S+)/`,
          `/^(Subject|X-A):\\s/`,
        ])
      : pick([
          `/${word}/`,
          `/^${word} (\\S+)/`,
          `/^${word}.*${pick(words).replace(/[.<>@]/g, "\\$&")}$/`,
          `/^(\\S+) (\\S+)$/`,
          `/^-+/`,
          `/^.{70,}$/`,
          `/^.{998,}/`,
          `/^line ${below(9)}/`,
          `/^>/`,
          `/^$/`,
          `/^(.).{2000,}$/`,
        ]);
  const text = (): string => pick(["", " seen", " a text with words", " $1 it is", " ${1}"]);
  const line = (): string =>
    place === "header"
      ? pick(["X-New: added", "Subject: replaced", "X-A: new", "X-Found: $1", "X-New:no blank", "x-b:   blanks"])
      : pick(["a new line", "$1", "> quoted $1", "[gone]", "-- "]);
  const value = pick([
    () => `REJECT${text()}`,
    () => `REJECT ${pick(["5.7.1", "5.3.4", "4.2.1", "4.7.0"])} by code`,
    () => "DUNNO",
    () => "OK",
    () => `IGNORE${text()}`,
    () => `IGNORE`,
    () => `STRIP${text()}`,
    () => `INFO${text()}`,
    () => `WARN${text()}`,
    () => `HOLD${text()}`,
    () => `DISCARD${text()}`,
    () => `PASS${text()}`,
    () => `PREPEND ${line()}`,
    () => `prepend ${line()}`,
    () => `REPLACE ${line()}`,
    () => `Replace ${line()}`,
    () => `REPLACE ${line()}`,
    () => `REDIRECT ${pick(["else@relay.test", "other@relay.test"])}`,
    () => `BCC ${pick(["copy@relay.test", "archive@relay.test"])}`,
    () => `FILTER smtp:[127.0.0.1]:$FILTER$`,
  ])();
  // $1 where the pattern has no group is a mistake of another kind.
  const groups = /\((?!\?)/.test(pattern);
  return [pattern, groups ? value : value.replaceAll(/\$\{?1\}?/g, "one")];
}

/** LF inside, CRLF in the end; latin1. */
export function randomMail(random: () => number, id: string): Mail {
  const dice = diceOf(random);
  const { pick, chance, some, below } = dice;
  const text = (): string => [pick(words), ...some(6, () => pick(words))].join(" ");
  const folded = (): string => text().replaceAll(" ", () => (chance(0.2) ? pick(["\n ", "\n\t", " \n  "]) : " "));
  const field = (): string =>
    `${pick(names)}${chance(0.05) ? pick([" ", "\t "]) : ""}:${pick([" ", " ", "", "  ", "\t"])}${chance(0.3) ? folded() : text()}`;
  const bodyLine = (): string =>
    pick([
      text,
      text,
      text,
      () => "",
      () => `line ${below(20)}`,
      () => `> ${text()}`,
      () => "-- ",
      () => `--${pick(words)}`,
      () => "--",
      () => `${text()} \t`,
      () => pick(words).repeat(1 + below(40)),
      () => (chance(0.2) ? `${"long ".repeat(300 + below(900))}end` : text()),
      () => (chance(0.2) ? "x".repeat(2045 + below(6)) : text()),
      () => (chance(0.2) ? "y".repeat(4094 + below(5)) : text()),
    ])();
  const lines = (most: number): string[] => some(most, bodyLine);
  let boundaries = 0;

  /** Fields and body of an entity; without the blank line between them. */
  const entity = (depth: number, digest: boolean): { readonly fields: string[]; readonly body: string[] } => {
    const fields = some(2, () =>
      pick([
        field,
        () => "Content-Description: " + text(),
        () => "Content-Disposition: attachment; filename=" + pick(["a.exe", '"b c.txt"']),
      ])(),
    );
    const kind = depth > 3 ? "leaf" : pick(["leaf", "leaf", "multipart", "message", "multipart"]);
    if (kind === "message") {
      const inner = entity(depth + 1, false);
      const type =
        digest && chance(0.5)
          ? []
          : [`Content-Type: ${pick(["message/rfc822", "Message/RFC822", "message/rfc822; a=b", "message/global"])}`];
      return { fields: [...fields, ...type], body: [field(), ...inner.fields, "", ...inner.body] };
    }
    if (kind === "multipart") {
      const boundary = `${pick(["b", "=_next", "x y", "b"])}${boundaries++}`;
      const type = pick(["mixed", "alternative", "digest", "x-odd"]);
      const quoted = boundary.includes(" ") || boundary.includes("=") || chance(0.5) ? `"${boundary}"` : boundary;
      const parts = [0, ...some(3, () => 0)].flatMap(() => {
        const part = entity(depth + 1, type === "digest");
        const blank = part.fields.length > 0 && chance(0.05) ? [] : [""];
        return [`--${boundary}${pick(["", "", " ", "cruft"])}`, ...part.fields, ...blank, ...part.body];
      });
      return {
        fields: [
          ...fields,
          ...(chance(0.06)
            ? [
                pick([
                  "Content-Type: text/plain",
                  "Content-Type: message/rfc822",
                  "Content-Type: multipart/mixed; boundary=other",
                ]),
              ]
            : []),
          `Content-Type: multipart/${type};${pick([" ", "\n\t"])}boundary=${quoted}`,
        ],
        body: [...some(2, bodyLine), ...parts, ...(chance(0.85) ? [`--${boundary}--`] : []), ...some(3, bodyLine)],
      };
    }
    const type = chance(0.6)
      ? [
          `Content-Type: ${pick(["text/plain", "text/html; charset=utf-8", "image/png; name=x", "message/partial", "application/x"])}`,
        ]
      : [];
    const encoding = chance(0.3)
      ? [`Content-Transfer-Encoding: ${pick(["7bit", "8bit", "base64", "quoted-printable"])}`]
      : [];
    return { fields: [...fields, ...type, ...encoding], body: lines(14) };
  };

  const top = entity(chance(0.3) ? 9 : 0, false);
  const shuffled = [...some(4, field), ...(chance(0.7) ? ["MIME-Version: 1.0"] : []), ...top.fields];
  const content = [`X-Case: ${id}`, "From: a@source.test", ...shuffled, "", ...top.body, ""].join("\n");
  const recipients = [...new Set(["joe@relay.test", ...some(2, () => pick(["ann@relay.test", "else@relay.test"]))])];
  return { id, recipients, content: Buffer.from(content.replaceAll("\n", "\r\n")) };
}

const everyAction = [
  "REJECT no",
  "REJECT 4.7.1 later",
  "DISCARD",
  "PASS",
  "REDIRECT else@relay.test",
  "HOLD",
  "BCC copy@relay.test",
  "FILTER smtp:[127.0.0.1]:$FILTER$",
  "PREPEND X-New: added",
  "REPLACE X-New: instead",
  "IGNORE",
  "STRIP",
  "WARN",
  "DUNNO",
];

/** Each action, in a header and in a body. */
export const pairsWorld: World = {
  headerChecks: everyAction.map((value, at) => [`/^X-Do: ${at}$/`, value]),
  mimeHeaderChecks: [],
  nestedHeaderChecks: [],
  bodyChecks: everyAction.map((value, at) => [`/^do ${at}$/`, value]),
  bodyChecksSizeLimit: 0,
};

/** Each action before each other: `X-Do` twice, or once before a line of the body. */
export const pairsMails: readonly Mail[] = everyAction.flatMap((_, first) =>
  everyAction.map((_unused, second) => {
    const id = `pair-${first}-${second}`;
    const lines = (first + second) % 2 === 0 ? [`X-Do: ${second}`, "", "text"] : ["", `do ${second}`, "text"];
    const content = [`X-Case: ${id}`, "Subject: x", `X-Do: ${first}`, ...lines, ""].join("\r\n");
    return { id, recipients: ["joe@relay.test", "ann@relay.test"], content: Buffer.from(content) };
  }),
);
