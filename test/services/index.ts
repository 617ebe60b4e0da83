// Real programs of other people for the tests: see README.md.
export * from "./certificate.ts";
export * from "./clamd.ts";
export * from "./describe-with.ts";
export * from "./disk.ts";
export * from "./eicar.ts";
export * from "./folder.ts";
export * from "./maildir.ts";
export * from "./mariadb.ts";
export * from "./memcached.ts";
export * from "./ports.ts";
export * from "./postfix.ts";
export * from "./programs.ts";
export * from "./redis.ts";
export * from "./service.ts";
export * from "./slapd.ts";
export * from "./smtp-sink.ts";
export * from "./smtp-source.ts";
