// The scanner against a real clamd: what it finds, what it refuses, and what is left when it is slow or dead.
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import clamd from "@postern/plugin-av-clamd";
import { openPlugin, testScanner, type OpenPlugin } from "@postern/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith, eicar, eicarName, startClamd, temporaryFolder, type Clamd } from "../services/index.ts";

describeWith(["clamd"], "clamd", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let service: Clamd;
  const open: OpenPlugin[] = [];
  beforeAll(async () => {
    folder = temporaryFolder();
    service = await startClamd({ folder: folder.path });
  });
  afterAll(async () => {
    await Promise.all(open.map((plugin) => plugin.close()));
    await service.stop();
    folder[Symbol.dispose]();
  });

  async function scannerAt(address: string) {
    const plugin = await openPlugin(clamd, { address, onInfected: "reject", onError: "defer" });
    open.push(plugin);
    const [owned] = plugin.scanners;
    if (owned === undefined) throw new Error("no scanner");
    return owned.scanner;
  }

  const mime = [
    "Subject: invoice",
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="b"',
    "",
    "--b",
    "Content-Type: text/plain",
    "",
    "See attachment.",
    "--b",
    'Content-Type: application/octet-stream; name="invoice.exe"',
    "Content-Transfer-Encoding: base64",
    "",
    Buffer.from(eicar).toString("base64"),
    "--b--",
    "",
  ].join("\r\n");
  const infected = `reject 550 5.7.1 infected: ${eicarName}`;

  test("finds what is there, by socket and by port, and says when it is too much", async () => {
    for (const address of [`unix:${service.socket}`, `127.0.0.1:${service.port}`]) {
      await testScanner(await scannerAt(address), {
        cases: [
          { name: "clean", expect: "none" },
          { name: "empty", message: "", expect: "none" },
          { name: "EICAR in the body", message: `Subject: x\r\n\r\n${eicar}\r\n`, expect: infected },
          { name: "EICAR in a MIME part", message: mime, expect: infected },
          { name: "exactly what clamd takes", message: Buffer.alloc(1 << 20, "x"), expect: "none" },
          { name: "one more", message: Buffer.alloc((1 << 20) + 1, "x"), expect: { fails: "tooLarge" } },
          { name: "much more, still being sent", message: Buffer.alloc(20 << 20, "x"), expect: { fails: "tooLarge" } },
          { name: "clean after all that", expect: "none" },
        ],
      });
    }
  });

  test("stopped it is a timeout, continued it scans, dead it is down", async () => {
    const scanner = await scannerAt(`unix:${service.socket}`);
    await service.pause();
    await testScanner(scanner, { deadlineMs: 300, cases: [{ name: "stopped", expect: { fails: "timeout" } }] });
    service.resume();
    await testScanner(scanner, { cases: [{ name: "continued", expect: "none" }] });
    await service.kill();
    await testScanner(scanner, { cases: [{ name: "dead", expect: { fails: "down" } }] });
    expect(open.flatMap(({ failures }) => failures)).toEqual([]);
  });
});
