/** The part of WebAssembly that is used here, which the types of Node do not have. */

export interface WasmModule {
  readonly [Symbol.toStringTag]: "WebAssembly.Module";
}

interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

interface WasmInstance {
  readonly exports: object;
}

interface WebAssemblyApi {
  compile(octets: Uint8Array): Promise<WasmModule>;
  readonly Memory: new (pages: { initial: number; maximum: number }) => WasmMemory;
  readonly Table: new (size: { initial: number; maximum: number; element: "anyfunc" }) => object;
  readonly Instance: new (
    module: WasmModule,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ) => WasmInstance;
  readonly RuntimeError: new (message: string) => Error;
}

export const wasm: WebAssemblyApi = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly;
