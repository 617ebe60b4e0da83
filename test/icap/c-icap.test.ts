// The plugin against a real ICAP server: c-icap with its virus scan module, whole mails, previews, its echo service, and what happens
// when the server stands still or is gone.
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import icap from "@postern/plugin-icap";
import { openPlugin, testScanner, type OpenPlugin } from "@postern/testkit";
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
  const open: OpenPlugin[] = [];
  beforeAll(async () => {
    folder = temporaryFolder();
    clamd = await startClamd({ folder: folder.path, streamMaxBytes: 16 << 20 });
    server = await startCIcap({ folder: folder.path, clamd: clamd.socket });
  });
  afterAll(async () => {
    await Promise.all(open.map((plugin) => plugin.close()));
    await server.stop();
    await clamd.stop();
    folder[Symbol.dispose]();
  });

  async function scannerWith(given: object) {
    const plugin = await openPlugin(icap, {
      address: server.url("avscan"),
      onError: "defer",
      maxSize: "16MB",
      ...given,
    });
    open.push(plugin);
    const [owned] = plugin.scanners;
    if (owned === undefined) throw new Error("no scanner");
    return owned.scanner;
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
    await testScanner(await scannerWith({ method }), { cases });
  });

  test("an echo, which gives back every octet, is clean; a service that is not there is an error", async () => {
    const own = cases.filter(({ name }) => !name.includes("EICAR"));
    await testScanner(await scannerWith({ address: server.url("echo") }), {
      cases: [...own, { name: "EICAR to an echo", message: eicar, expect: "none" }],
    });
    await testScanner(await scannerWith({ address: server.url("nothing") }), {
      cases: [{ name: "no such service", expect: { fails: "error" } }],
    });
  });

  test("200 at once, on a list whose first address is dead", async () => {
    const scanner = await scannerWith({
      address: [`icap://127.0.0.1:${await freePort()}/avscan`, server.url("avscan")],
    });
    await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        testScanner(scanner, {
          cases: [
            index % 4 === 0
              ? { name: "infected", message: mime(`${index}${eicar}`), expect: infected }
              : { name: "clean", message: mime(`clean ${index}`), expect: "none" },
          ],
        }),
      ),
    );
  });

  test("with its clamd dead it is an error; stopped a timeout; continued it scans; dead it is down", async () => {
    const scanner = await scannerWith({});
    await clamd.kill();
    await testScanner(scanner, { cases: [{ name: "no clamd", expect: { fails: "error" } }] });
    await server.pause();
    await testScanner(scanner, { deadlineMs: 300, cases: [{ name: "stopped", expect: { fails: "timeout" } }] });
    server.resume();
    await server.kill();
    await testScanner(scanner, { cases: [{ name: "dead", expect: { fails: "down" } }] });
    expect(open.flatMap(({ failures }) => failures)).toEqual([]);
  });
});
