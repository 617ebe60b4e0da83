/**
 * The SASL mechanisms PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login), and base64 as RFC 4954 wants it. No SASLprep: names and
 * passwords are compared as they came.
 */
import { isIdentity, type AuthMechanism } from "../authentication/index.ts";

export interface PlainCredentials {
  readonly identity: string;
  readonly authzid: string;
  readonly password: string;
}

/** Another challenge (base64), the end, or an answer that is none of the mechanism's. */
export type SaslStep =
  | { readonly kind: "challenge"; readonly text: string }
  | { readonly kind: "credentials"; readonly credentials: PlainCredentials }
  | { readonly kind: "malformed"; readonly identity: string | undefined };

export interface SaslExchange {
  readonly mechanism: AuthMechanism;
  /** `undefined`: the client gave no initial response. */
  step(response: Buffer | undefined): SaslStep;
}

/** Octets of a line with its CRLF (RFC 4954 §4). */
export const longestSaslLine = 12_288;
/** What the seam promises of a password. */
const longestPassword = 1024;

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Strict: no blanks, whole padding, no stray bits at its end. */
export function decodeBase64(text: string): Buffer | undefined {
  if (text.length > longestSaslLine || !base64.test(text)) return undefined;
  const octets = Buffer.from(text, "base64");
  return octets.toString("base64") === text ? octets : undefined;
}

/** `undefined` for a mechanism that is not offered. */
export function beginSasl(name: string): SaslExchange | undefined {
  const mechanism = name.toUpperCase();
  if (mechanism === "PLAIN") return { mechanism, step: plain };
  return mechanism === "LOGIN" ? new LoginExchange() : undefined;
}

export const offeredMechanisms = "PLAIN LOGIN";

function plain(response: Buffer | undefined): SaslStep {
  if (response === undefined) return { kind: "challenge", text: "" };
  const parts = textOf(response)?.split("\0");
  if (parts === undefined || parts.length !== 3) return { kind: "malformed", identity: undefined };
  const [authzid = "", identity = "", password = ""] = parts;
  return sound({ authzid, identity, password });
}

const usernameChallenge = Buffer.from("Username:").toString("base64");
const passwordChallenge = Buffer.from("Password:").toString("base64");

class LoginExchange implements SaslExchange {
  readonly mechanism = "LOGIN";
  #identity: string | undefined;

  step(response: Buffer | undefined): SaslStep {
    if (response === undefined) return { kind: "challenge", text: usernameChallenge };
    const text = textOf(response);
    if (text === undefined) return { kind: "malformed", identity: this.#identity };
    if (this.#identity === undefined) {
      this.#identity = text;
      return { kind: "challenge", text: passwordChallenge };
    }
    return sound({ authzid: "", identity: this.#identity, password: text });
  }
}

function sound(credentials: PlainCredentials): SaslStep {
  const { identity, authzid, password } = credentials;
  const fits =
    isIdentity(identity) &&
    authzid.length <= 255 &&
    password !== "" &&
    !password.includes("\0") &&
    Buffer.byteLength(password) <= longestPassword;
  return fits ? { kind: "credentials", credentials } : { kind: "malformed", identity };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOf(octets: Buffer): string | undefined {
  try {
    return utf8.decode(octets);
  } catch {
    return undefined;
  }
}
