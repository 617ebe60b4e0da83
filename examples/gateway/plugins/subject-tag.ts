import { definePlugin } from "@postern/core";
import { z } from "zod";

export default definePlugin({
  name: "subject-tag",
  apiVersion: 1,
  options: z.strictObject({ tag: z.string().default("[ext]").describe("What goes before the subject.") }),
  setup(gateway, { tag }) {
    gateway.hooks.smtp.modify.tap({ place: "modify" }, (message) => {
      const subject = message.headers.get("Subject");
      if (subject === undefined || subject.value.startsWith(tag)) return undefined;
      return [{ kind: "replaceHeader", name: "Subject", nth: 1, value: `${tag} ${subject.value}` }];
    });
  },
});
