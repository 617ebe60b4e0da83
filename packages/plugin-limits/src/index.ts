import { definePlugin } from "@postern/core";
import { z } from "zod";

export default definePlugin({
  name: "limits",
  apiVersion: 1,
  options: z.strictObject({}),
  setup() {},
});
