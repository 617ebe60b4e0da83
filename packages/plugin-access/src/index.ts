/** Access restrictions: the first words of the policy language. */
import { definePlugin } from "@postern/core";
import { z } from "zod";
import { registerWords } from "./words.ts";

export default definePlugin({
  name: "access",
  apiVersion: 1,
  options: z.strictObject({}),
  setup: registerWords,
});
