/** `mysql:` tables: MySQL and MariaDB, with the parameters and the meaning of Postfix's mysql_table(5). */
import { definePlugin, Shared } from "@postern/core";
import { z } from "zod";
import { openMysqlTable } from "./mysql-table.ts";
import type { Pool } from "./pool.ts";

export default definePlugin({
  name: "maps-mysql",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    const pools = new Shared<Pool>();
    gateway.tables.register(
      "mysql",
      (name, scope, parameters) => openMysqlTable(name, scope, parameters, pools),
      "One SQL query to MySQL or MariaDB, from a Postfix .cf file or with the same keys inline.",
    );
  },
});
