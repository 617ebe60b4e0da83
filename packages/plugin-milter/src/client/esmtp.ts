/** Commands of a session as a milter hears them: Sendmail's argument vectors. */
import { parseIp, type Recipient, type Session, type Transaction } from "@postern/core";
import { toOctets, type Command } from "../protocol/index.ts";

/** A client without a name is its address in brackets, as in Sendmail. */
export function connectCommand({ client }: Session): Command {
  const { address, port = 0, name } = client;
  if (address === undefined) return { kind: "connect", hostname: toOctets(name), client: { family: "unknown" } };
  const family = parseIp(address)?.family === 6 ? "inet6" : "inet";
  const hostname = name === "unknown" ? `[${address}]` : toOctets(name);
  return { kind: "connect", hostname, client: { family, address, port } };
}

/** The parameters that the gateway knows, put together anew in a fixed order. */
export function mailCommand(transaction: Omit<Transaction, "recipients">): Command {
  const { sender, body, declaredSizeBytes, smtputf8, ret, envid, submitter } = transaction;
  const args = [`<${sender}>`];
  if (declaredSizeBytes !== undefined) args.push(`SIZE=${declaredSizeBytes}`);
  if (body === "8bitmime") args.push("BODY=8BITMIME");
  if (smtputf8) args.push("SMTPUTF8");
  if (ret !== undefined) args.push(`RET=${ret.toUpperCase()}`);
  if (envid !== undefined) args.push(`ENVID=${envid}`);
  if (submitter !== undefined) args.push(`AUTH=${submitter}`);
  return { kind: "mail", args: args.map(toOctets) };
}

export function recipientCommand({ original, notify, orcpt }: Recipient): Command {
  const args = [`<${original}>`];
  if (notify !== undefined) args.push(`NOTIFY=${notify.join(",").toUpperCase()}`);
  if (orcpt !== undefined) args.push(`ORCPT=${orcpt}`);
  return { kind: "recipient", args: args.map(toOctets) };
}
