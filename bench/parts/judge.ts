/** What the policy costs one message: each stage's list and hook asked once, one recipient, and the message itself. */
import { openMessage, type Session, type Transaction } from "@postern/core";
import { openGeneration } from "./gateway.ts";
import { compose, nextId, recipient, sender } from "./mail.ts";
import type { Part, PartScope } from "./part.ts";

const session: Session = {
  id: "session",
  listener: "mx",
  startedAt: 0,
  client: {
    address: "127.0.0.1",
    port: 40_000,
    name: "localhost",
    reverseName: "localhost",
    nameStatus: "ok",
    inNetworks: false,
  },
  server: { address: "127.0.0.1", port: 25 },
  helo: { verb: "EHLO", name: "client.source.test" },
  tls: undefined,
  auth: undefined,
};

export async function openJudge({ folder, sizeBytes }: PartScope): Promise<Part> {
  const generation = await openGeneration(folder, 1);
  const { hooks } = generation.forSession();
  const policy = generation.forSession().startPolicy("mx");
  const { blob } = compose(sizeBytes);
  const transaction: Transaction = {
    id: nextId(),
    sessionId: session.id,
    startedAt: 0,
    sender,
    recipients: [recipient],
    body: "7bit",
    smtputf8: false,
    declaredSizeBytes: undefined,
  };
  const refused = async (answer: unknown): Promise<void> => {
    if ((await answer) !== undefined) throw new Error("the policy refused what it should take");
  };
  return {
    name: "judge",
    covers: "the lists (twelve words in rcpt) and hooks from MAIL to the end of data",
    async run(messages) {
      for (let count = 0; count < messages; count += 1) {
        await refused(hooks.smtp.mail.call(sender, transaction, session));
        await refused(policy.ask("mail", { session, transaction }));
        await refused(hooks.smtp.rcpt.call(recipient, transaction, session));
        await refused(policy.ask("rcpt", { session, transaction, recipient }));
        await refused(hooks.smtp.data.call(transaction, session));
        await refused(policy.ask("data", { session, transaction }));
        const message = await openMessage(blob, { maxHeaderBytes: 2 ** 20 });
        await refused(hooks.smtp.headers.call(message, transaction, session));
        await refused(hooks.smtp.message.call(message, transaction, session));
        await refused((await policy.judge({ session, transaction, message }, undefined)).objection);
        await hooks.smtp.modify.call({ message, envelope: [] }, transaction, session);
        policy.resetTransaction();
      }
    },
  };
}
