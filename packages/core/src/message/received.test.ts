import { describe, expect, it } from "vitest";
import { createMemoryBlob } from "./memory-blob.ts";
import { createMessage } from "./parsed-message.ts";
import { receivedHeader, receivedProtocol } from "./received.ts";

const plain = {
  helo: "client.example.test",
  clientName: "host.example.test",
  clientAddress: "192.0.2.1",
  hostname: "mx.example.test",
  protocol: "ESMTP",
  id: "4abcDEF",
  nowMs: Date.UTC(2026, 0, 1),
};

describe("receivedHeader", () => {
  it("is Postfix's", () => {
    expect(receivedHeader(plain)).toBe(
      "Received: from client.example.test (host.example.test [192.0.2.1])\r\n" +
        "\tby mx.example.test with ESMTP id 4abcDEF;\r\n" +
        "\tThu, 01 Jan 2026 00:00:00 +0000 (UTC)\r\n",
    );
  });

  it("names TLS, an IPv6 client and the only recipient", () => {
    const text = receivedHeader({
      ...plain,
      helo: "[IPv6:2001:db8::1]",
      clientName: "unknown",
      clientAddress: "2001:DB8::1",
      protocol: "ESMTPS",
      tls: { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", bits: 256 },
      recipient: "joe@example.test",
    });
    expect(text).toBe(
      "Received: from [IPv6:2001:db8::1] (unknown [IPv6:2001:db8::1])\r\n" +
        "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n" +
        "\tby mx.example.test with ESMTPS id 4abcDEF\r\n" +
        "\tfor <joe@example.test>; Thu, 01 Jan 2026 00:00:00 +0000 (UTC)\r\n",
    );
  });

  it.each([
    [{ clientAddress: undefined }, "(host.example.test [unknown])"],
    [{ clientAddress: "::ffff:192.0.2.9" }, "(host.example.test [192.0.2.9])"],
    [{ helo: "[192.0.2.7]" }, "from [192.0.2.7] ("],
    [{ helo: 'a (b) <c>; d:e@f "g\\' }, "from a??b???c???d?e?f??g? ("],
    [{ helo: "a\r\nX-Injected: yes\r\n\r\n" }, "from a??X-Injected??yes???? ("],
    [{ helo: "[::1]\r\n" }, "from [??1]?? ("],
    [{ helo: "bücher.example" }, "from b?cher.example ("],
    [{ clientName: "evil)\r\n\tby x" }, "(evil????by?x [192.0.2.1])"],
    [{ recipient: '"a\r\nb"@example.test' }, 'for <"a??b"@example.test>;'],
    [{ recipient: "jörg@example.test" }, "for <j?rg@example.test>;"],
    [{ recipient: "jörg@example.test", utf8: true }, "for <jörg@example.test>;"],
  ])("with %j has %j", (change, expected) => {
    const text = receivedHeader({ ...plain, ...change });
    expect(text).toContain(expected);
    const fields = [...createMessage(createMemoryBlob([Buffer.from(`${text}\r\n`)])).headers];
    expect(fields.map(({ name }) => name)).toEqual(["Received"]);
  });

  it("keeps its lines within 998 octets whatever the client says", () => {
    const text = receivedHeader({
      ...plain,
      helo: "😀".repeat(9999),
      clientName: "x".repeat(9999),
      recipient: "ü".repeat(9999),
      utf8: true,
    });
    for (const line of text.split("\r\n")) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(998);
  });
});

describe("receivedProtocol", () => {
  it.each([
    ["HELO", false, false, false, "SMTP"],
    ["HELO", true, true, true, "SMTP"],
    ["EHLO", false, false, false, "ESMTP"],
    ["EHLO", true, false, false, "ESMTPS"],
    ["EHLO", false, true, false, "ESMTPA"],
    ["EHLO", true, true, false, "ESMTPSA"],
    ["EHLO", false, false, true, "UTF8SMTP"],
    ["EHLO", true, true, true, "UTF8SMTPSA"],
    ["LHLO", true, false, false, "LMTPS"],
    ["LHLO", false, false, true, "UTF8LMTP"],
  ] as const)("%s tls=%s auth=%s utf8=%s: %s", (verb, tls, authenticated, smtputf8, expected) => {
    expect(receivedProtocol({ verb, tls, authenticated, smtputf8 })).toBe(expected);
  });
});
