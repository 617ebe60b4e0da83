// Filters as people run them: a Postfix as the proxy before the queue and as the content filter behind it, a shell script that gives mail
// back by SMTP, and a command that judges and rewrites before the queue.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { hand } from "../e2e/dialogue.ts";
import { startGateway, type GatewayProcess } from "../e2e/gateway.ts";
import { until } from "../e2e/until.ts";
import {
  describeWith,
  freePort,
  startPostfix,
  temporaryFolder,
  waitForMail,
  type PostfixPeer,
} from "../services/index.ts";

/** As FILTER_README's simple filter: changes the mail and hands it back. */
const simpleFilter = (port: number): string => `#!/bin/sh
sed 's/colour/color/' | curl -sS --mail-from "$1" --mail-rcpt "$2" --upload-file - smtp://127.0.0.1:${port}/filter.test || exit 75
`;

const judge = `#!/bin/sh
mail=$(cat)
case "$mail" in
*viagra*) echo '5.7.1 no pills' >&2; exit 69 ;;
*broken*) exit 3 ;;
esac
printf '%s\\n' "$mail" | sed -e '1i X-Judged: yes' -e 's/secret/******/'
`;

describeWith(["postfix", "root", "curl"], "filters as people run them", () => {
  const folder = temporaryFolder();
  let postfix: PostfixPeer;
  let gateway: GatewayProcess;
  const ports = { in: 0, back: 0, before: 0, judged: 0, piped: 0 };

  beforeAll(async () => {
    for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
    postfix = await startPostfix({
      folder: folder.path,
      mailboxes: ["alice@example.test"],
      main: { relayhost: `[127.0.0.1]:${ports.back}`, smtpd_authorized_xforward_hosts: "127.0.0.0/8" },
    });
    for (const [name, script] of [
      ["simple.sh", simpleFilter(ports.back)],
      ["judge.sh", judge],
    ] as const) {
      writeFileSync(join(folder.path, name), script, { mode: 0o755 });
    }
    const listeners = Object.entries(ports).map(([name, port]) => ({ name, host: "127.0.0.1", port }));
    gateway = await startGateway({
      port: ports.in,
      config: {
        listeners: listeners.map((listener) =>
          listener.name === "piped"
            ? {
                ...listener,
                policy: { rcpt: [["check_recipient_access", { "round.test": "FILTER pipe:simple" }]] },
              }
            : listener,
        ),
        domains: { virtualMailbox: ["round.test"], relay: ["example.test"] },
        plugins: [
          "@postern/plugin-access",
          "@postern/plugin-transport-smtp",
          ["@postern/plugin-transport-maildir", { directory: "./mail" }],
          [
            "@postern/plugin-filter",
            {
              contentFilter: `smtp:[127.0.0.1]:${postfix.port}`,
              except: ["back", "judged"],
              proxy: { address: `127.0.0.1:${postfix.port}`, listeners: ["before"] },
              commands: {
                simple: {
                  argv: [join(folder.path, "simple.sh"), "${sender}", "${recipient}"],
                  user: "nobody",
                  maxRecipients: 1,
                  // curl sends lines as it reads them.
                  eol: "crlf",
                },
              },
            },
          ],
          [
            "@postern/plugin-filter",
            {
              as: "judging",
              onError: "defer",
              scanners: { judge: { argv: [join(folder.path, "judge.sh")], user: "nobody", replace: true } },
            },
          ],
        ],
      },
    });
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await postfix.stop();
    folder[Symbol.dispose]();
  });

  const box = (name: string): string => `${gateway.folder}/mail/round.test/${name}`;
  const content = "Subject: colours\r\nFrom: a@source.test\r\n\r\nthe colour of the secret\r\n";

  it("content_filter: through a Postfix and back, once", async () => {
    expect(await hand(ports.in, { to: "one@round.test", content })).toMatch(/^250 2\.0\.0 Ok: queued/);
    const [mail] = await waitForMail(box("one"), 1);
    const received = mail?.raw.toString("latin1").match(/^Received: .*\n(?:[ \t].*\n)*/gm) ?? [];
    expect(received.map((field) => /by (\S+)/.exec(field)?.[1])).toEqual([
      "mx.example.test",
      "mx.example.test",
      "mx.example.test",
    ]);
    expect(received[1]).toContain("(Postfix)");
  });

  it("smtpd_proxy_filter: what Postfix says is what the client hears, and who sent it is what Postfix logs", async () => {
    expect(await hand(ports.before, { to: "alice@example.test", content })).toMatch(/^250 2\.0\.0 Ok: queued as/);
    await waitForMail(postfix.maildir("alice@example.test"), 1);
    const said = await hand(ports.before, { to: "two@round.test", content });
    expect(said).toMatch(/^250 2\.0\.0 Ok: queued as [0-9A-Z]+$/);
    await waitForMail(box("two"), 1);
    await expect.poll(() => postfix.mailLog()).toMatch(/orig_client=\S*\[127\.0\.0\.1\]/);
    expect(gateway.log().match(/proxy-accept: END-OF-MESSAGE/g)).toHaveLength(2);
    expect(await hand(ports.before, { to: "nobody@example.test", content })).toMatch(
      /^550 5\.1\.1 <nobody@example\.test>/,
    );
  });

  it("FILTER to a command that changes the mail and gives it back", async () => {
    expect(await hand(ports.piped, { to: ["three@round.test", "four@round.test"], content })).toMatch(/^250 /);
    for (const name of ["three", "four"]) {
      const [mail] = await waitForMail(box(name), 1);
      expect(mail?.raw.toString("latin1")).toContain("the color of the");
    }
    await until(() => (gateway.log().match(/relay=pipe:simple.*status=sent/g) ?? []).length === 2);
  });

  it("a command before the queue passes with changes, refuses with its words, and when it fails the mail comes again", async () => {
    expect(await hand(ports.judged, { to: "five@round.test", content })).toMatch(/^250 /);
    const [mail] = await waitForMail(box("five"), 1);
    const text = mail?.raw.toString("latin1") ?? "";
    expect(text).toContain("X-Judged: yes\n");
    expect(text).toContain("of the ******\n");
    expect(await hand(ports.judged, { to: "five@round.test", content: "Subject: viagra\r\n\r\n" })).toBe(
      "550 5.7.1 no pills",
    );
    expect(await hand(ports.judged, { to: "five@round.test", content: "Subject: broken\r\n\r\n" })).toMatch(
      /^451 4\.3\.0 /,
    );
  });
});
