/** For commands that end soon: V8 ends no process before a compilation under way is done. */
import { setFlagsFromString } from "node:v8";

/**
 * Keeps V8 from compiling WebAssembly a second time, seconds of work for PCRE2, before it has run for long. To be called before any
 * module is compiled.
 */
export function expectShortLife(): void {
  setFlagsFromString("--wasm-tiering-budget=2000000000");
}
