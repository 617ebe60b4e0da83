/** A plugin's definition and its options as a config entry, checked as the host does. */
import { defaultDeadlineMs, hostOptions, type PluginDefinition, type PluginInstance } from "@postern/core";
import type { z } from "zod";

/** Throws zod's error for wrong options. */
export async function instantiate<Schema extends z.ZodType>(
  definition: PluginDefinition<Schema>,
  options: Readonly<Record<string, unknown>> = {},
): Promise<PluginInstance> {
  const { as, onError, deadline, isolation, ...own } = options;
  const given = Object.entries({ as, onError, deadline, isolation }).filter(([, value]) => value !== undefined);
  const host = hostOptions.parse(Object.fromEntries(given));
  const name = host.as ?? definition.name;
  return {
    name,
    definition: definition as unknown as PluginDefinition,
    options: await definition.options.parseAsync(own),
    owner: { name, onError: host.onError ?? "defer", deadlineMs: host.deadline ?? defaultDeadlineMs },
    onError: host.onError,
    deadlineMs: host.deadline,
    specifier: definition.name,
    file: "",
  };
}
