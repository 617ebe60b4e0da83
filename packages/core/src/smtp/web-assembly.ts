/** A module of WebAssembly without imports, as `scripts/wasm.js` writes it. */

/** The part of the API that is used here, which the types of Node do not have. */
interface WebAssemblyApi {
  readonly Module: new (octets: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyApi };

/** The exports of a small module, compiled at once. */
export function instantiate(base64: string): unknown {
  const module = new WebAssembly.Module(Buffer.from(base64, "base64"));
  return new WebAssembly.Instance(module).exports;
}
