/** `mysql:` tables: MySQL and MariaDB, with the parameters and the meaning of Postfix's mysql_table(5). */
import { definePlugin } from "@postern/core";
import { z } from "zod";
import { openDriver } from "./driver.ts";
import { openMysqlTable } from "./mysql-table.ts";
import { Pools } from "./pools.ts";

export default definePlugin({
  name: "maps-mysql",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    const pools = new Pools(openDriver);
    gateway.tables.register(
      "mysql",
      (name, scope, parameters) => openMysqlTable(name, scope, parameters, pools),
      "One SQL query to MySQL or MariaDB, from a Postfix .cf file or with the same keys inline.",
    );
  },
});
