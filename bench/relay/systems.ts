/** The systems by name, in the order in which they take their turns. The first that runs is what ratios refer to. */
import { join } from "node:path";
import { freePort } from "../../test/services/ports.ts";
import { startHaraka } from "./haraka.ts";
import { startPostern } from "./postern.ts";
import { startPostfix, tunedSettings } from "./postfix.ts";
import type { System } from "./run.ts";

export const systemNames = ["postfix", "postfix-tuned", "haraka", "postern"] as const;
export type SystemName = (typeof systemNames)[number];

/** `folder` is the system's own, not there yet. */
export async function startSystem(name: SystemName, folder: string, sinkPort: number): Promise<System> {
  switch (name) {
    case "postfix":
      return startPostfix(name, join(folder, name), sinkPort);
    case "postfix-tuned":
      return startPostfix(name, join(folder, name), sinkPort, tunedSettings);
    case "haraka":
      return startHaraka(join(folder, name), await freePort(), sinkPort);
    case "postern":
      return startPostern({ folder: join(folder, name), port: await freePort(), sinkPort });
  }
}
