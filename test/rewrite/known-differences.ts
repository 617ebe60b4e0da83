// Where we are not as Postfix, and why: each stands in docs/standards.md under "Rewriting".
import type { Mail, World } from "./world.ts";

/** The name of the difference that a mail would show; `undefined`: both are to do the same. */
export function differs(_mail: Mail, _world: World): string | undefined {
  return undefined;
}
