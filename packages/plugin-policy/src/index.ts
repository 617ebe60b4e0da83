import { definePlugin } from "@postern/core";
import { z } from "zod";

export default definePlugin({
  name: "policy",
  apiVersion: 1,
  options: z.strictObject({}),
  setup() {},
});
