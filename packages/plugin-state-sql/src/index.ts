import { definePlugin } from "@postern/core";
import { z } from "zod";

export default definePlugin({
  name: "state-sql",
  apiVersion: 1,
  options: z.strictObject({}),
  setup() {},
});
