/** Spam filtering with SpamAssassin's daemon. */
export {};
