// What access tables make of an accepted message: HOLD, REDIRECT, BCC and FILTER, and the operator's hand on the queue.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSink, type Sink } from "@postern/testkit";
import { temporaryFolder } from "../services/folder.ts";
import { hand } from "./dialogue.ts";
import { command, startGateway, type Config, type GatewayProcess } from "./gateway.ts";
import { run } from "./run.ts";
import { until } from "./until.ts";

describe("effects", () => {
  let sink: Sink;
  let filter: Sink;
  let gateway: GatewayProcess;
  let config: Config;
  let folder: ReturnType<typeof temporaryFolder>;

  beforeAll(async () => {
    sink = await createSink();
    filter = await createSink();
    const recipients = {
      "held@example.test": "HOLD to be looked at",
      "moved@example.test": "REDIRECT keeper@example.test",
      "copied@example.test": "BCC archive@example.test",
      "filtered@example.test": `FILTER smtp:${filter.nextHop}`,
      "both@example.test": "both",
    };
    config = {
      domains: { relay: ["example.test"] },
      plugins: ["@postern/plugin-access", "@postern/plugin-transport-smtp"],
      relayhost: sink.nextHop,
      policy: {
        classes: {
          both: [
            ["check_sender_access", { "source.test": `FILTER smtp:${filter.nextHop}` }],
            ["check_helo_access", { "client.source.test": "REDIRECT keeper@example.test" }],
          ],
        },
        rcpt: [["check_recipient_access", recipients]],
      },
    };
    folder = temporaryFolder();
    gateway = await startGateway({ folder: folder.path, config });
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await sink.close();
    await filter.close();
    folder[Symbol.dispose]();
  });

  const queue = (...args: string[]) =>
    run(process.execPath, ["--conditions=@postern/source", command, "queue", ...args], { cwd: gateway.folder });
  const addressed = ({ transactions }: Sink, subject: string): string[] | undefined =>
    transactions
      .find(({ content }) => content.includes(`Subject: ${subject}\r\n`))
      ?.rcpt.map((line) => /<(.*?)>/.exec(line)?.[1] ?? "")
      .toSorted();
  const send = async (subject: string, ...to: string[]): Promise<string> => {
    const reply = await hand(gateway.port, { to, content: `Subject: ${subject}\r\n\r\nbody\r\n` });
    expect(reply).toMatch(/^250 2\.0\.0 Ok: queued as /);
    return /\S+$/.exec(reply)?.[0] ?? "";
  };

  it("REDIRECT, BCC and FILTER concern all recipients; a redirect goes before a filter", async () => {
    const ids = [
      await send("moved", "one@example.test", "moved@example.test"),
      await send("copied", "copied@example.test", "two@example.test"),
      await send("filtered", "three@example.test", "filtered@example.test"),
      await send("both", "both@example.test"),
    ];
    await until(() => sink.transactions.length === 3 && filter.transactions.length === 1);
    expect(addressed(sink, "moved")).toEqual(["keeper@example.test"]);
    expect(addressed(sink, "copied")).toEqual(["archive@example.test", "copied@example.test", "two@example.test"]);
    expect(addressed(filter, "filtered")).toEqual(["filtered@example.test", "three@example.test"]);
    expect(addressed(sink, "both")).toEqual(["keeper@example.test"]);
    // The log says why the mail is not where its envelope would have it.
    const told = ids.map((id) => new RegExp(`${id}: client=.*, nrcpt=\\d+(.*)`).exec(gateway.log())?.[1]);
    expect(told).toEqual([
      ", redirect: keeper@example.test",
      ", bcc: archive@example.test",
      `, filter: smtp:${filter.nextHop}`,
      ", redirect: keeper@example.test",
    ]);
  });

  it("a held message stays over a restart until it is released; removed ones are gone", async () => {
    const [held, removed] = [await send("held", "held@example.test"), await send("removed", "held@example.test")];
    expect(gateway.log()).toMatch(new RegExp(`${held}: client=.*, hold: .*to be looked at`));
    const listed = await queue("list", "--held", "--json");
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { id: held, state: "held", recipients: ["held@example.test"], reason: expect.stringContaining("looked at") },
      { id: removed, state: "held" },
    ]);
    await gateway.kill();
    gateway = await startGateway({ folder: folder.path, config });
    expect(await queue("remove", removed)).toMatchObject({ status: 0, stdout: "Removed: 1\n" });
    expect((await queue("list")).stdout).toMatch(new RegExp(`^ID .*\\n${held} +held .*<held@example.test>.*\\n$`));
    expect(await queue("release", removed)).toMatchObject({ status: 65, stderr: expect.stringContaining(removed) });
    expect(addressed(sink, "held")).toBeUndefined();
    expect(await queue("release", "--held")).toMatchObject({ status: 0, stdout: "Released: 1\n" });
    await until(() => addressed(sink, "held") !== undefined);
    await until(async () => (await queue("list")).stdout === "The queue is empty\n");
    expect(addressed(sink, "removed")).toBeUndefined();
  });
});
