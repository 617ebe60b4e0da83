/** Sessions, transactions, recipients and messages to ask a plugin about; whatever a case does not name is plausible. */
import {
  createMemoryBlob,
  createMessage,
  type Client,
  type Message,
  type Recipient,
  type Session,
  type Transaction,
} from "@postern/core";

export type SessionSample = Partial<Omit<Session, "client">> & { readonly client?: Partial<Client> };

/** A stranger at 192.0.2.1 who said EHLO. */
export function sampleSession({ client, ...rest }: SessionSample = {}): Session {
  return {
    id: "SESSION",
    listener: "127.0.0.1:25",
    startedAt: Date.UTC(2026, 0, 1),
    client: {
      address: "192.0.2.1",
      port: 54_321,
      name: "client.example.net",
      reverseName: "client.example.net",
      nameStatus: "ok",
      inNetworks: false,
      ...client,
    },
    server: { address: "127.0.0.1", port: 25 },
    helo: { verb: "EHLO", name: "client.example.net" },
    tls: undefined,
    auth: undefined,
    ...rest,
  };
}

export function sampleRecipient(address = "recipient@example.test", rest: Partial<Recipient> = {}): Recipient {
  return { address, original: address, ...rest };
}

export function sampleTransaction(rest: Partial<Transaction> = {}): Transaction {
  return {
    id: "TRANSACTION",
    sessionId: "SESSION",
    startedAt: Date.UTC(2026, 0, 1),
    sender: "sender@example.net",
    recipients: [],
    body: "7bit",
    smtputf8: false,
    declaredSizeBytes: undefined,
    ...rest,
  };
}

const sampleText = "From: sender@example.net\r\nTo: recipient@example.test\r\nSubject: sample\r\n\r\nHello.\r\n";

/** A message of these octets, as they are: CRLF is not added. An array gives the body's chunks as they are cut. */
export function sampleMessage(content: string | Uint8Array | readonly Uint8Array[] = sampleText): Message {
  const parts = typeof content === "string" ? [Buffer.from(content)] : Array.isArray(content) ? content : [content];
  return createMessage(createMemoryBlob((parts as readonly Uint8Array[]).map((part) => Buffer.from(part))));
}
