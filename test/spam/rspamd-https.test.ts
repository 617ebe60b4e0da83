// rspamd behind a proxy with TLS: who it is decides the certificate, and that is checked.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { ScanAnswer } from "@postern/core";
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import rspamd from "@postern/plugin-rspamd";
import { openPlugin, sampleScanAsk } from "@postern/testkit";
import { expect, it } from "vitest";
import { makeCertificate } from "../services/certificate.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";

describeWith(["openssl"], "rspamd by https", () => {
  it("asks for a certificate of the authority that is given", async () => {
    using folder = temporaryFolder();
    const certificate = makeCertificate(folder.path, ["localhost"]);
    const files = { cert: readFileSync(certificate.cert), key: readFileSync(certificate.key) };
    await using server = createServer(files, (request, response) => {
      request.resume().on("end", () => response.end('{"action":"no action"}'));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = `https://localhost:${(server.address() as AddressInfo).port}`;
    await expect(scan({ address })).rejects.toMatchObject({ reason: "down" });
    expect(await scan({ address, ca: "tls.pem" }, folder.path)).toEqual([]);
    await expect(scan({ address, ca: "none.pem" }, folder.path)).rejects.toThrow(
      '"ca" none.pem cannot be read (ENOENT)',
    );
  });
});

async function scan(options: object, directory?: string): Promise<ScanAnswer> {
  const host = directory === undefined ? {} : { directory };
  const plugin = await openPlugin(rspamd, { ...options, onError: "defer" }, host);
  try {
    return await plugin.scanners[0]?.scanner.scan(sampleScanAsk());
  } finally {
    await plugin.close();
  }
}
