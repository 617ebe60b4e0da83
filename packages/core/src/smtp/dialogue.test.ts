// A dialogue in process: what is said, what is answered, what is queued.
import { expect, test } from "vitest";
import { createFront } from "./front.fixture.ts";

test("a message goes from EHLO to the queue", async () => {
  const front = await createFront();
  const talk = front.connect();
  expect(await talk.reply()).toBe("220 mx.ours.test ESMTP");
  expect(await talk.say("EHLO client.test")).toBe(
    [
      "250-mx.ours.test",
      "250-PIPELINING",
      "250-SIZE 52428800",
      "250-ENHANCEDSTATUSCODES",
      "250-8BITMIME",
      "250-DSN",
      "250-SMTPUTF8",
      "250 CHUNKING",
    ].join("\n"),
  );
  expect(await talk.say("MAIL FROM:<a@there.test>")).toBe("250 2.1.0 Ok");
  expect(await talk.say("RCPT TO:<b@ours.test>")).toBe("250 2.1.5 Ok");
  expect(await talk.say("DATA")).toBe("354 End data with <CR><LF>.<CR><LF>");
  expect(await talk.say("Subject: x\r\n\r\n..dot\r\n.")).toMatch(/^250 2\.0\.0 Ok: queued as \w+$/);
  expect(await talk.say("QUIT")).toBe("221 2.0.0 Bye");
  expect(await talk.rest()).toBe("");
  expect(front.queue).toHaveLength(1);
  expect(front.queue[0]?.text).toMatch(
    /^Received: from client\.test \(unknown \[192\.0\.2\.1\]\)\r\n\tby mx\.ours\.test with ESMTP id \w+\r\n\tfor <b@ours\.test>; .*\r\nSubject: x\r\n\r\n\.dot\r\n$/,
  );
  expect(front.held).toBe(0);
});
