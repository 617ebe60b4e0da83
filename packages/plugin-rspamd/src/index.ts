/** Spam filtering with rspamd over HTTP. */
export {};
