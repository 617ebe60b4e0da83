/** Content filters by SMTP, by command, and before the queue. */
export {};
