/** For commands that end soon: V8 ends no process before a compilation under way is done. */
import { setFlagsFromString } from "node:v8";

/**
 * WebAssembly stays as it is compiled at first: optimising PCRE2 alone takes seconds. To be called before any
 * module is compiled. At run time none of these implies another.
 */
export function expectShortLife(): void {
  for (const flag of ["--liftoff-only", "--no-wasm-tier-up", "--no-wasm-dynamic-tiering"]) setFlagsFromString(flag);
}
