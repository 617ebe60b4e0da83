/** Any milter in front of mail, and this gateway's plugins as a milter of another mail server. */
export * from "./server/index.ts";
