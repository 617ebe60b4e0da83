/** Lookup tables behind a socket: tcp and socketmap servers, memcached, Redis. Nothing is connected before the first lookup. */
import { definePlugin } from "@postern/core";
import { z } from "zod";
import { openMemcache } from "./memcache.ts";
import { openRedis } from "./redis.ts";
import { openSocketmap } from "./socketmap.ts";
import { openTcp } from "./tcp.ts";

export default definePlugin({
  name: "maps-net",
  apiVersion: 1,
  options: z.strictObject({}),
  setup({ tables }) {
    tables.register("tcp", openTcp, "A server that answers one line a key, tcp_table(5): tcp:host:port.");
    tables.register(
      "socketmap",
      openSocketmap,
      "A Sendmail-style socketmap server: socketmap:inet:host:port:name or socketmap:unix:path:name.",
    );
    tables.register("memcache", openMemcache, "memcached, with a persistent table behind it: memcache:file.cf.");
    tables.register("redis", openRedis, "Redis strings, hashes and sets: redis:host:port or redis:file.cf.");
  },
});
