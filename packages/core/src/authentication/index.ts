/** The authenticator seam: who may say who a client is. Knows no password store. */
export { createAuthentication, isIdentity, type Authenticate } from "./authentication.ts";
export type { AuthAnswer, Authenticator, AuthMechanism, Credentials } from "./authenticator.ts";
