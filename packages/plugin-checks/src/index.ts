/** Header and body checks by table, as header_checks(5). */
import { definePlugin } from "@postern/core";
import { CheckTables } from "./check-tables.ts";
import { createChecks } from "./checks.ts";
import { options } from "./options.ts";

export default definePlugin({
  name: "checks",
  apiVersion: 1,
  options,
  setup(gateway, given) {
    const { headerChecks, mimeHeaderChecks = headerChecks, nestedHeaderChecks = headerChecks, bodyChecks } = given;
    const open = (specs: typeof headerChecks) => specs.map((spec) => gateway.tables.use(spec));
    const header = open(headerChecks);
    const ofHeader = (specs: typeof headerChecks) => (specs === headerChecks ? header : open(specs));
    const set = {
      header: new CheckTables("headerChecks", "header", header),
      mime: new CheckTables("mimeHeaderChecks", "header", ofHeader(mimeHeaderChecks)),
      nested: new CheckTables("nestedHeaderChecks", "header", ofHeader(nestedHeaderChecks)),
      body: new CheckTables("bodyChecks", "body", open(bodyChecks)),
      bodySizeLimit: given.bodyChecksSizeLimit,
    };
    gateway.scanner({
      name: gateway.name,
      description: "Header and body checks by table, as header_checks(5).",
      asksService: false,
      scan: createChecks(set),
    });
    gateway.onReady(async () => {
      for (const tables of [set.header, set.mime, set.nested, set.body]) await tables.check();
    });
  },
});
