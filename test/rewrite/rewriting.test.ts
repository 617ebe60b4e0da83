// The real program with the key `rewrite`: what goes in, what a server behind it gets, and how a mistake is named.
import { createSink } from "@postern/testkit";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hand } from "../e2e/dialogue.ts";
import { command, repository, startGateway } from "../e2e/gateway.ts";
import { run } from "../e2e/run.ts";
import { temporaryFolder } from "../services/folder.ts";

describe("the key rewrite", () => {
  it("needs no entry in plugins; header, envelope and copies", async () => {
    const sink = await createSink();
    await using gateway = await startGateway({
      config: {
        origin: "example.com",
        domains: { relay: ["example.com"], virtualAlias: ["example.net"] },
        plugins: ["@postern/plugin-access", "@postern/plugin-transport-smtp"],
        relayhost: sink.nextHop,
        rewrite: {
          canonical: "texthash:./canonical",
          virtual: { "sales@example.net": "orders@example.com" },
          recipientBcc: { "sales@example.net": "archive@example.com" },
          relocated: { "fred@example.com": "fred@elsewhere.example" },
          generic: { "cron@example.com": "it@example.com" },
        },
      },
      files: { canonical: "jdoe John.Doe@example.com\n" },
    });
    const content = "From: jdoe (me)\r\nTo: sales@example.net,\r\n\t<cron@example.com>\r\nSubject: x\r\n\r\nx\r\n";
    expect(await hand(gateway.port, { to: "fred@example.com" })).toMatch(
      /^550 5\.1\.6 .*moved to fred@elsewhere\.example/,
    );
    expect(await hand(gateway.port, { from: "jdoe@example.com", to: "sales@example.net", content })).toMatch(/^250 /);
    const [taken] = await sink.received(1);
    expect(taken?.mail).toMatch(/^MAIL FROM:<John\.Doe@example\.com>/);
    expect(taken?.rcpt.map((line) => /<(.*)>/.exec(line)?.[1]).toSorted()).toEqual([
      "archive@example.com",
      "orders@example.com",
    ]);
    expect(taken?.content.toString()).toContain(
      "From: John.Doe@example.com (me)\r\nTo: sales@example.net,\r\n\t<it@example.com>\r\nSubject: x\r\n",
    );
    await sink.close();

    const question = ["--client", "127.0.0.1", "--from", "cron@example.com", "--to", "sales@example.net"];
    const args = ["--conditions=@postern/source", command, "explain", ...question, "--json"];
    const { stdout } = await run(process.execPath, args, { cwd: gateway.folder });
    const { rewriting } = JSON.parse(stdout) as { rewriting: Record<string, unknown>[] };
    expect(rewriting.map(({ name, place, before, after }) => [name, place, before, after])).toEqual([
      ["recipient bcc", "envelope_recipient", "sales@example.net", ["archive@example.com"]],
      ["virtual", "envelope_recipient", "sales@example.net", ["orders@example.com"]],
      ["generic", "envelope_sender", "cron@example.com", ["it@example.com"]],
    ]);
  });

  it.each([
    [{ canonicl: "texthash:./x" }, /: rewrite\.canonicl is not a known key; did you mean "canonical"\?/],
    [{ canonical: "texthash:./missing" }, /missing/],
    [{ masquerade: ["a b"] }, /: rewrite\.masquerade\[0\]: expected a domain/],
  ] as const)("%j is a mistake of postern check", async (rewrite, message) => {
    using folder = temporaryFolder();
    const config = {
      hostname: "mx.example.com",
      listeners: [{ host: "127.0.0.1", port: 2525 }],
      queue: { directory: "./queue" },
      rewrite,
    };
    mkdirSync(join(folder.path, "queue"));
    symlinkSync(join(repository, "node_modules"), join(folder.path, "node_modules"));
    writeFileSync(join(folder.path, "postern.config.json"), JSON.stringify(config));
    const args = [
      "--conditions=@postern/source",
      command,
      "check",
      "--config",
      join(folder.path, "postern.config.json"),
    ];
    const { status, stderr } = await run(process.execPath, args);
    expect(stderr).toMatch(message);
    expect(status).toBe(78);
  });
});
