import { expect, test } from "vitest";
import { reply, type Session } from "../model/index.ts";
import { randomFrom, sample, seed } from "../../../../test/sampling.ts";
import { formatSmtpEvent } from "./events.ts";
import { parseRefusalLine } from "./log-line.ts";

const session: Session = {
  id: "s",
  listener: "mx",
  startedAt: 0,
  client: { address: "192.0.2.1", port: 1, name: "c.test", reverseName: "c.test", nameStatus: "ok", inNetworks: false },
  server: { address: "127.0.0.1", port: 25 },
  helo: { verb: "EHLO", name: "c.test" },
  tls: undefined,
  auth: undefined,
};

interface Said {
  readonly from: string;
  readonly to: string;
  readonly helo: string;
  readonly text: string;
}

function line({ from, to, helo, text }: Said): string {
  return formatSmtpEvent({
    kind: "rejected",
    session: { ...session, helo: { verb: "EHLO", name: helo } },
    command: "RCPT",
    reply: reply(554, "5.7.1", text),
    id: undefined,
    sender: from,
    recipient: to,
    decision: {
      id: "REAL",
      by: {
        list: "rcpt",
        path: "policy.rcpt[2]",
        word: "check_sender_access",
        plugin: "access",
        match: { table: "texthash:./a", key: from },
      },
    },
  });
}

const shown = ({ from, to, helo, text }: Said) => ({
  id: "NOQUEUE",
  command: "RCPT",
  client: "c.test",
  address: "192.0.2.1",
  reply: `554 5.7.1 ${text}`,
  fields: {
    from,
    to,
    helo,
    proto: "ESMTP",
    d: "REAL",
    by: "rcpt",
    path: "policy.rcpt[2]",
    word: "check_sender_access",
    plugin: "access",
    table: "texthash:./a",
    key: from,
  },
});

test.for<[what: string, said: Partial<Said>]>([
  ["plain", {}],
  ["a sender that ends its field", { from: '"x> to=<y> d=FAKE z=<"@evil.test' }],
  ["fields in a quoted local part", { to: '"a; d=FAKE by=core"@evil.test', from: '"; d=FAKE "@evil.test' }],
  ["a line of its own in the reply", { text: "<x>: a; from=<b> d=FAKE by=core path=<p>" }],
  ["backslashes", { from: '"a\\\\>"@evil.test', helo: "c.test\\" }],
  ["a HELO of fields", { helo: ">d=FAKE;helo=<" }],
])("%s is read as it was said", ([, said]) => {
  const whole = { from: "a@b.test", to: "c@d.test", helo: "c.test", text: "no", ...said };
  expect(parseRefusalLine(`Nov 23 mx postern[7]: ${line(whole)}`)).toEqual(shown(whole));
});

test("nothing that a client says can pass for a field", () => {
  const random = randomFrom(seed);
  const bits = ["; ", " ", "d=FAKE", "<", ">", "\\", "x", "from=<a>", "=", "NOQUEUE: reject: RCPT from a[1]: ", '"'];
  const say = () =>
    Array.from({ length: Math.floor(random() * 8) }, () => bits[Math.floor(random() * bits.length)]).join("");
  for (let count = sample(3000, 300_000); count > 0; count--) {
    const said = { from: say(), to: say(), helo: say(), text: `x${say()}x` };
    expect(parseRefusalLine(line(said)), `seed ${seed}`).toEqual(shown(said));
  }
});

test.for<[what: string, text: string]>([
  ["another line", "NOQUEUE: c.test[192.0.2.1]: hello"],
  ["a line that was cut", line({ from: "a@b.test", to: "c@d.test", helo: "c", text: "no" }).slice(0, -3)],
  ["a line too long to be ours", `${line({ from: "a", to: "b", helo: "c", text: "no" })}${" ".repeat(9000)}`],
])("%s is none", ([, text]) => expect(parseRefusalLine(text)).toBeUndefined());

test.for<[stage: "connect" | "helo" | "rcpt" | "message", recipient: string | undefined, text: string, begins: string]>(
  [
    [
      "helo",
      "b@c.test",
      "reject_warning: 504 5.5.2 <c>: no",
      "reject_warning: RCPT from c.test[192.0.2.1]: 504 5.5.2 <c>: no; ",
    ],
    ["helo", undefined, "warn: odd", "warn: EHLO from c.test[192.0.2.1]: odd; "],
    ["connect", undefined, "info", "info: CONNECT from c.test[192.0.2.1]:; "],
    ["message", "b@c.test", "a word's own: text", "note: END-OF-MESSAGE from c.test[192.0.2.1]: a word's own: text; "],
  ],
)("a remark at %s says whose mail it is about: %j", ([stage, recipient, text, begins]) => {
  const by = { list: stage, path: "policy.x[0]", word: "some_word", plugin: "access" } as const;
  const said = formatSmtpEvent({ kind: "remarked", session, stage, id: "ID", sender: "a@b.test", recipient, text, by });
  const to = recipient === undefined ? "" : ` to=<${recipient}>`;
  const fields = `from=<a@b.test>${to} proto=ESMTP helo=<c.test> by=${stage} path=<policy.x[0]> word=<some_word> plugin=<access>`;
  expect(said).toBe(`ID: ${begins}${fields}`);
  expect(parseRefusalLine(said)).toBeUndefined();
});
