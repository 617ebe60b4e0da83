/** A plugin that taps every hook once, so that the benchmark pays for what a real gateway pays for. */
import { definePlugin } from "@postern/core";
import { z } from "zod";

export default definePlugin({
  name: "tap-everything",
  apiVersion: 1,
  options: z.strictObject({}),
  setup({ hooks }) {
    for (const group of Object.values(hooks)) {
      for (const hook of Object.values(group)) hook.tap(() => undefined);
    }
  },
});
