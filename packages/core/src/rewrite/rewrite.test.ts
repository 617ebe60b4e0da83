import { describe, expect, test } from "vitest";
import { InvalidAnswer } from "../guard/guard.ts";
import type { EnvelopeEdit } from "../message/message.ts";
import type { Envelope } from "../model/index.ts";
import { applyEnvelopeEdits, uniqueRecipients } from "./envelope-edits.ts";

const envelope: Envelope = {
  sender: "from@a.example",
  recipients: [
    { address: "one@b.example", original: "One@B.example", notify: ["never"] },
    { address: "two@b.example", original: "two@b.example" },
  ],
  body: "7bit",
  smtputf8: false,
};
const add = (address: string): EnvelopeEdit => ({ kind: "addRecipient", address });
const remove = (address: string): EnvelopeEdit => ({ kind: "removeRecipient", address });
const from = (address: string): EnvelopeEdit => ({ kind: "changeSender", address });

describe("envelope edits", () => {
  test.for<[edits: EnvelopeEdit[], sender: string, recipients: string, smtputf8?: boolean]>([
    [[], "from@a.example", "one@b.example two@b.example"],
    [[add("three@c.example")], "from@a.example", "one@b.example two@b.example three@c.example"],
    [[add("<three@C.example>")], "from@a.example", "one@b.example two@b.example three@c.example"],
    [[add("one@B.example")], "from@a.example", "one@b.example two@b.example"],
    [[remove("one@B.EXAMPLE")], "from@a.example", "two@b.example"],
    [[remove("none@b.example")], "from@a.example", "one@b.example two@b.example"],
    [[remove("one@b.example"), add("one@b.example")], "from@a.example", "two@b.example one@b.example"],
    [[from("")], "", "one@b.example two@b.example"],
    [[from("x@D.example")], "x@d.example", "one@b.example two@b.example"],
    [[add("ü@c.example")], "from@a.example", "one@b.example two@b.example ü@c.example", true],
    [[remove("one@b.example"), remove("two@b.example")], "from@a.example", ""],
  ])("%j", ([edits, sender, recipients, smtputf8 = false]) => {
    const edited = applyEnvelopeEdits(envelope, edits);
    expect(edited.sender).toBe(sender);
    expect(edited.recipients.map(({ address }) => address).join(" ")).toBe(recipients);
    expect(edited.smtputf8).toBe(smtputf8);
    expect(envelope.recipients).toHaveLength(2);
  });

  test.for(["", "x", "a@b@c", "a b@c.example", "x@y.example\r\nRCPT TO:<z@z>", 7 as never, "<>"])(
    "%j is no address",
    (address) => {
      expect(() => applyEnvelopeEdits(envelope, [add(address)])).toThrow(InvalidAnswer);
    },
  );

  test("a flood of recipients is refused", () => {
    const flood = Array.from({ length: 10_001 }, (_, index) => add(`u${index}@c.example`));
    expect(() => applyEnvelopeEdits(envelope, flood)).toThrow(InvalidAnswer);
  });

  test("the first of equal recipients stays with its parameters", () => {
    const [first] = envelope.recipients;
    const again = { address: "one@b.example", original: "other" };
    expect(uniqueRecipients([...envelope.recipients, again])).toEqual(envelope.recipients);
    expect(uniqueRecipients(envelope.recipients)).toBe(envelope.recipients);
    expect(first?.notify).toEqual(["never"]);
  });
});
