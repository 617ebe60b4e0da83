// The plugin against a real ICAP server: c-icap with its virus scan module, whole mails, previews, its echo service, and what happens
// when the server stands still or is gone.
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import icap from "@postern/plugin-icap";
import { openPlugin, sampleMessage, sampleScanAsk, testScanner, type ScannerTest } from "@postern/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  freePort,
  describeWith,
  eicar,
  eicarName,
  startCIcap,
  startClamd,
  temporaryFolder,
} from "../services/index.ts";
import type { CIcap, Clamd } from "../services/index.ts";

describeWith(["clamd", "c-icap"], "c-icap", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let clamd: Clamd;
  let server: CIcap;
  beforeAll(async () => {
    folder = temporaryFolder();
    clamd = await startClamd({ folder: folder.path, streamMaxBytes: 16 << 20 });
    server = await startCIcap({ folder: folder.path, clamd: clamd.socket });
  });
  afterAll(async () => {
    await server.stop();
    await clamd.stop();
    folder[Symbol.dispose]();
  });

  async function openWith(given: object) {
    const settings = { address: server.url("avscan"), onError: "defer", maxSize: "16MB" };
    const plugin = await openPlugin(icap, { ...settings, ...given });
    const [owned] = plugin.scanners;
    if (owned === undefined) throw new Error("no scanner");
    return { plugin, scanner: owned.scanner };
  }

  async function trial(given: object, tested: ScannerTest): Promise<void> {
    const { plugin, scanner } = await openWith(given);
    await testScanner(scanner, { ...tested, close: () => plugin.close() });
    expect(plugin.failures).toEqual([]);
  }

  const mime = (content: string): string =>
    [
      "Subject: invoice",
      "MIME-Version: 1.0",
      'Content-Type: multipart/mixed; boundary="b"',
      "",
      "--b",
      "Content-Type: text/plain",
      "",
      "See attachment.",
      "--b",
      'Content-Type: application/octet-stream; name="invoice räkning.exe"',
      "Content-Transfer-Encoding: base64",
      "",
      Buffer.from(content).toString("base64"),
      "--b--",
      "",
    ].join("\r\n");
  const infected = `reject 550 5.7.1 infected: ${eicarName}`;
  const cases = [
    { name: "clean", expect: "none" },
    { name: "empty", message: "", expect: "none" },
    { name: "EICAR in the body", message: `Subject: x\r\n\r\n${eicar}\r\n`, expect: infected },
    { name: "EICAR in a MIME part", message: mime(eicar), expect: infected },
    { name: "exactly the preview", message: `Subject: x\r\n\r\n${"x".repeat(1024 - 14)}`, expect: "none" },
    { name: "one octet more", message: `Subject: x\r\n\r\n${"x".repeat(1025 - 14)}`, expect: "none" },
    {
      name: "EICAR behind the preview",
      message: `Subject: x\r\n\r\n${"x".repeat(4000)}\r\n${eicar}`,
      expect: infected,
    },
    { name: "3 MB", message: `Subject: x\r\n\r\n${"x".repeat(3 << 20)}`, expect: "none" },
    {
      name: "3 MB with EICAR at the end",
      message: `Subject: x\r\n\r\n${"x".repeat(3 << 20)}${eicar}`,
      expect: infected,
    },
    { name: "clean after all that", expect: "none" },
  ] as const;

  test.each(["RESPMOD", "REQMOD"])("finds what is there by %s", async (method) => {
    await trial({ method }, { cases });
  });

  test("part by part it finds what is in base64 and not in one piece in the mail", async () => {
    await trial(
      { parts: true },
      {
        cases: [
          { name: "clean", message: mime("nothing"), expect: "none" },
          { name: "EICAR in a part", message: mime(eicar), expect: infected },
          { name: "empty", message: "", expect: "none" },
        ],
      },
    );
  });

  test("an echo, which gives back every octet, is clean; a service that is not there is an error", async () => {
    const own = cases.filter(({ name }) => !name.includes("EICAR"));
    await trial(
      { address: server.url("echo") },
      {
        cases: [...own, { name: "EICAR to an echo", message: eicar, expect: "none" }],
      },
    );
    await trial(
      { address: server.url("nothing") },
      {
        cases: [{ name: "no such service", expect: { fails: "error" } }],
      },
    );
  });

  test("200 at once, on a list whose first address is dead", async () => {
    const address = [`icap://127.0.0.1:${await freePort()}/avscan`, server.url("avscan")];
    const { plugin, scanner } = await openWith({ address });
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, index) =>
        scanner.scan(sampleScanAsk({ message: sampleMessage(mime(`${index} ${index % 4 === 0 ? eicar : "clean"}`)) })),
      ),
    );
    expect(answers.map((answer) => answer !== undefined)).toEqual(answers.map((_, index) => index % 4 === 0));
    await plugin.close();
  });

  test("with its clamd dead it is an error; stopped a timeout; dead it is down", async () => {
    await trial(
      {},
      {
        deadlineMs: 4_000,
        reasons: ["error", "timeout", "down", "tooLarge"],
        cases: [
          { name: "too large", message: Buffer.alloc((16 << 20) + 1, "x"), expect: { fails: "tooLarge" } },
          { name: "no clamd", before: () => clamd.kill(), expect: { fails: "error" } },
          { name: "stopped", before: () => server.pause(), expect: { fails: "timeout" } },
          { name: "dead", before: () => server.kill(), expect: { fails: "down" } },
        ],
      },
    );
  });
});
