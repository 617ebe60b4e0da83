// What is released arrives where it would have arrived: in a Maildir octet for octet, at Postfix's smtp-sink with its envelope.
import { join } from "node:path";
import { expect, it } from "vitest";
import { startGateway } from "../e2e/gateway.ts";
import { trickyMessage, withoutTrace } from "../e2e/mail.ts";
import { until } from "../e2e/until.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { waitForMail } from "../services/maildir.ts";
import { startSmtpSink } from "../services/smtp-sink.ts";
import { isolatingGateway, postern, send } from "./world.ts";

describeWith(["smtp-sink"], "released mail", () => {
  it("in a Maildir octet for octet, small and large; at smtp-sink as its envelope says", async () => {
    using folder = temporaryFolder();
    const sink = await startSmtpSink({ folder: folder.path, keep: true });
    const options = isolatingGateway(`[127.0.0.1]:${sink.port}`, {
      domains: {
        relay: ["example.test"],
        virtualMailbox: { domains: ["box.test"], recipients: ["one@box.test", "desk@box.test"] },
      },
      plugins: [
        "@postern/plugin-access",
        "@postern/plugin-transport-smtp",
        ["@postern/plugin-transport-maildir", { directory: "./mail" }],
        "./isolating.mjs",
      ],
      policy: { message: ["isolate_all"] },
    });
    {
      await using gateway = await startGateway({ ...options, folder: folder.path });
      const small = trickyMessage("small", "one@box.test");
      const large = Buffer.concat([trickyMessage("large", "one@box.test"), Buffer.alloc(6_000_000, "0123456789\r\n")]);
      const ids = [
        await send(gateway.port, ["one@box.test", "far@example.test"], small),
        await send(gateway.port, "one@box.test", large),
      ];
      const elsewhere = await send(gateway.port, "one@box.test", trickyMessage("elsewhere", "one@box.test"));
      expect(await postern(gateway, "quarantine", "release", ...ids)).toMatchObject({
        status: 0,
        stdout: "Released: 2\n",
      });
      const inBox = await waitForMail(join(folder.path, "mail", "box.test", "one"), 2);
      expect(inBox.map(({ raw }) => withoutTrace(raw).length).toSorted((a, b) => a - b)).toEqual([
        small.length,
        large.length,
      ]);
      for (const { raw } of inBox) {
        const arrived = withoutTrace(raw);
        expect(arrived.equals(arrived.length === small.length ? small : large)).toBe(true);
      }
      await until(() => sink.count() === 1);
      const [taken = ""] = sink.messages();
      expect(taken).toMatch(/^X-Mail-Args: <sender@source\.test>/m);
      expect(taken).toMatch(/^X-Rcpt-Args: <far@example\.test>/m);
      // To somebody else: the one it was for never has it.
      await postern(gateway, "quarantine", "release", elsewhere, "--to", "desk@box.test");
      const [atDesk] = await waitForMail(join(folder.path, "mail", "box.test", "desk"));
      expect(withoutTrace(atDesk?.raw ?? Buffer.alloc(0)).equals(trickyMessage("elsewhere", "one@box.test"))).toBe(
        true,
      );
      expect(await waitForMail(join(folder.path, "mail", "box.test", "one"))).toHaveLength(2);
    }
    await sink.stop();
  });
});
