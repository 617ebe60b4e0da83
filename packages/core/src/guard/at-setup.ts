/** A plugin's code run while the gateway starts: the operator's mistakes pass, everything else names the plugin. */
import { ConfigError, PluginError } from "../errors.ts";
import { Failed, type Guard } from "./guard.ts";
import type { Owner } from "./owner.ts";

/** Throws the `ConfigError` that `call` threw; `PluginError` for any other throw, a time-out, and what `check` refuses. */
export async function runAtSetup<T>(
  guard: Guard,
  owner: Owner,
  point: string,
  check: (answer: unknown) => T,
  call: () => unknown,
): Promise<T> {
  // A mistake of the operator is no failure of the plugin: it passes the guard as an answer.
  const attempt = async (): Promise<unknown> => {
    try {
      return await call();
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
  };
  const answer = await guard.run(
    owner,
    point,
    (raw) => (raw instanceof ConfigError ? raw : { checked: check(raw) }),
    attempt,
  );
  if (answer instanceof ConfigError) throw answer;
  if (answer instanceof Failed) {
    const why = answer.error instanceof Error ? answer.error.message : String(answer.error);
    throw new PluginError(owner.name, `${point}: ${why}`, { cause: answer.error });
  }
  return answer.checked;
}
