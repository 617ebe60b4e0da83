// The same commands behind Postfix's pipe(8) and behind our transport `pipe`: what becomes of each recipient, what the command is told on its
// command line, and what it reads.
import { mkdirSync, readdirSync, readFileSync, writeFileSync, chmodSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { hand } from "../e2e/dialogue.ts";
import { startGateway, type GatewayProcess } from "../e2e/gateway.ts";
import { until } from "../e2e/until.ts";
import { describeWith, startPostfixRelay, temporaryFolder, type Postfix } from "../services/index.ts";

/** The local part says how it ends and what it says. */
const ending = `#!/bin/sh
case "$1" in
early-*) exec <&-; exit 0 ;;
hang-*) sleep 60; exit 0 ;;
fork-*) sleep 60 & exit 75 ;;
signal-*) kill -"\${1#signal-}" $$ ;;
esac
cat >/dev/null
case "$1" in
*-text) echo some text ;;
*-lines) printf 'one\\ttwo\\nthree\\n' ;;
*-error) echo on the other side >&2 ;;
*-four) echo 4.2.2 mailbox full ;;
*-five) echo 5.7.1 not here ;;
*-two) echo 2.1.5 odd ;;
*-bad) echo 5.7 no code ;;
*-octets) printf 'a\\001b\\344' ;;
esac
exit "\${1%%-*}"
`;

const codes = [0, 1, 2, 63, ...Array.from({ length: 16 }, (_, index) => 64 + index), 99, 126, 127, 255];
const locals = [
  ...codes.map((code) => `${code}-none`),
  ...[69, 75, 1].flatMap((code) =>
    ["text", "lines", "error", "four", "five", "two", "bad", "octets"].map((said) => `${code}-${said}`),
  ),
  "0-text",
  "0-five",
  "early-0",
  "hang-0",
  "fork-0",
  "signal-9",
  "signal-15",
];

/** Where ours differs: a code that says "fine" is no code, and who left children behind has ended all the same. */
const known: ReadonlyMap<string, string> = new Map([
  ["69-two", "5.3.0 bounced service unavailable. Command output: 2.1.5 odd"],
  ["75-two", "4.3.0 deferred temporary failure. Command output: 2.1.5 odd"],
  ["1-two", '5.3.0 bounced Command died with status 1: "end.sh". Command output: 2.1.5 odd'],
  ["fork-0", "4.3.0 deferred temporary failure"],
]);

/** Writes its arguments, one a line, and what it reads. */
const telling = `#!/bin/sh
out=$(mktemp "$1/told.XXXXXX")
shift
for word; do printf '%s\\n' "$word"; done >"$out.args"
cat >"$out.mail"
mv "$out" "$out.done"
`;

const words =
  "-f ${sender} -d ${domain} -- ${recipient} ${user} ${extension} ${mailbox} ${original_recipient} ${client_address} ${client_helo} ${client_protocol} a${sender}b";
/** Flags by domain. */
const forms: Readonly<Record<string, string>> = {
  "plain.test": "",
  "box.test": "FB>",
  "final.test": "DROXhu",
  "dots.test": ".",
};

describeWith(["postfix", "root"], "commands, the same as behind Postfix's pipe(8)", () => {
  const folder = temporaryFolder();
  let postfix: Postfix;
  let gateway: GatewayProcess;
  const outputs = { postfix: join(folder.path, "told-postfix"), postern: join(folder.path, "told-postern") };

  beforeAll(async () => {
    const [end, tell] = [join(folder.path, "end.sh"), join(folder.path, "tell.sh")];
    for (const [path, script] of [
      [end, ending],
      [tell, telling],
    ] as const) {
      writeFileSync(path, script);
      chmodSync(path, 0o755);
    }
    for (const path of Object.values(outputs)) {
      mkdirSync(path);
      chmodSync(path, 0o777);
    }
    const domains = Object.keys(forms);
    const master = domains.map(
      (domain) =>
        `${domain.replace(".", "-")} unix - n n - - pipe user=nobody ${forms[domain] === "" ? "" : `flags=${forms[domain]} `}argv=${tell} ${outputs.postfix} ${words}`,
    );
    const oneEach = domains
      .filter((domain) => /[DO]/.test(forms[domain] ?? ""))
      .map((domain) => [`${domain.replace(".", "-")}_destination_recipient_limit`, "1"] as const);
    postfix = await startPostfixRelay({
      folder: folder.path,
      relayhost: "",
      main: {
        default_transport: "end",
        transport_maps: `inline:{ ${domains.map((domain) => `{ ${domain} = ${domain.replace(".", "-")}: }`).join(" ")} }`,
        end_time_limit: "2s",
        minimal_backoff_time: "300s",
        local_header_rewrite_clients: "",
        ...Object.fromEntries(oneEach),
      },
      master: [`end unix - n n - 10 pipe user=nobody argv=${end} \${user}`, ...master],
    });
    const given = words.split(" ");
    gateway = await startGateway({
      config: {
        plugins: [
          "@postern/plugin-access",
          [
            "@postern/plugin-filter",
            {
              commands: {
                end: { argv: [end, "${user}"], user: "nobody", timeLimit: "2s", concurrency: 10, maxRecipients: 1 },
                ...Object.fromEntries(
                  domains.map((domain) => [
                    domain.replace(".", "-"),
                    { argv: [tell, outputs.postern, ...given], user: "nobody", flags: forms[domain] },
                  ]),
                ),
              },
            },
          ],
        ],
        recipientDelimiter: "+",
        routes: [
          {
            ...Object.fromEntries(domains.map((domain) => [domain, `pipe:${domain.replace(".", "-")}`])),
            "*": "pipe:end",
          },
        ],
      },
    });
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await postfix.stop();
    folder[Symbol.dispose]();
  });

  /** By recipient: `dsn status (text)`. */
  const outcomes = (log: string): Map<string, string> =>
    new Map(
      [...log.matchAll(/to=<([^>]*@other\.test)>.*?dsn=(\d\.\d+\.\d+), status=(\w+) \((.*)\)$/gm)].map(
        ([, address = "", dsn = "", status = "", text = ""]) => [
          address.replace("@other.test", ""),
          `${dsn} ${status} ${text
            .replace(/^delivered .*/, "")
            .replace(/".*?end\.sh"/g, '"end.sh"')
            .trim()}`,
        ],
      ),
    );

  it("each end means the same, and is told in the same words", async () => {
    const from = "sender@other.test";
    // Bounces go the same way and are no part of the question.
    const count = (log: string): number => [...outcomes(log).keys()].filter((local) => locals.includes(local)).length;
    await Promise.all(
      locals.flatMap((local) =>
        [postfix.port, gateway.port].map(async (port) => {
          const said = await hand(port, { from: "", to: `${local}@other.test`, content: "Subject: x\r\n\r\nbody\r\n" });
          expect(said, `${from} ${local}`).toMatch(/^250 /);
        }),
      ),
    );
    await until(() => count(postfix.mailLog()) === locals.length && count(gateway.log()) === locals.length);
    const [theirs, ours] = [outcomes(postfix.mailLog()), outcomes(gateway.log())];
    const differences = locals.flatMap((local) => {
      const [a = "", b = ""] = [theirs.get(local), ours.get(local)];
      if (known.get(local) === b) return [];
      return a === b ? [] : [`${local}: ${a} | ${b}`];
    });
    expect(differences).toEqual([]);
  });

  const told = (folder: string): string[] =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".done"))
      .map((name) => {
        const path = join(folder, name.replace(".done", ""));
        const mail = readFileSync(`${path}.mail`, "latin1")
          .replace(/^Received:.*\n(?:[ \t].*\n)*/gm, "")
          .replace(/^(From \S+  )\w.*$/gm, "$1date");
        return `${readFileSync(`${path}.args`, "latin1")}${mail}`;
      })
      .toSorted();

  it("the words of the command line and the message are the same", async () => {
    const content =
      "Subject: x\r\nFrom: Ann <ann@example.test>\r\nDate: Mon, 23 Nov 2026 07:00:00 +0000\r\nMessage-ID: <1@x.test>\r\nTo: b@c.test\r\n\r\n.dot\r\nFrom here\r\n>From x\r\nFromage\r\n\r\n8-bit \xe4\r\n";
    const mails = Object.keys(forms).flatMap((domain) => [
      { from: "Sender+Ext@source.test", to: [`Ann+Work@${domain}`, `bob@${domain}`] },
      { from: "", to: [`Carl@${domain}`] },
      { from: "x@y.test", to: [`"quoted local"@${domain}`] },
    ]);
    for (const { from, to } of mails) {
      for (const port of [postfix.port, gateway.port]) {
        expect(await hand(port, { from, to, content: content.replaceAll("\r\n.", "\r\n..") })).toMatch(/^250 /);
      }
    }
    const runs = mails.reduce((sum, { to: [first = "", ...more] }) => {
      return sum + (/[DO]/.test(forms[first.replace(/^.*@/, "").toLowerCase()] ?? "") ? more.length + 1 : 1);
    }, 0);
    await until(() => told(outputs.postfix).length >= runs && told(outputs.postern).length >= runs);
    expect(told(outputs.postern)).toEqual(told(outputs.postfix));
  });
});
