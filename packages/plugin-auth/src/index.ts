import { definePlugin } from "@postern/core";
import { z } from "zod";

export default definePlugin({
  name: "auth",
  apiVersion: 1,
  options: z.strictObject({}),
  setup() {},
});
