// Recipients without a domain.
import { expect, test } from "vitest";
import type { Envelope } from "../model/index.ts";
import { createQualifier } from "./qualify.ts";

const envelope = (...addresses: string[]): Envelope => ({
  sender: "a@source.test",
  recipients: addresses.map((address) => ({ address, original: address })),
  body: "7bit",
  smtputf8: false,
});

test("a bare postmaster gets our domain and keeps what the client wrote; others stay", async () => {
  const qualifier = createQualifier("example.test");
  const rewritten = await qualifier.rewrite(envelope("postmaster", "b@other.test"), { session: undefined });
  expect(rewritten.recipients).toEqual([
    { address: "postmaster@example.test", original: "postmaster" },
    { address: "b@other.test", original: "b@other.test" },
  ]);
  const whole = envelope("b@other.test");
  expect(qualifier.rewrite(whole, { session: undefined })).toBe(whole);
});
