/** One address expanded through its aliases, again and again, within Postfix's limits (cleanup_map1n). */
import { foldKey, isPromise, TableUnavailable, type MaybePromise } from "@postern/core";

/** virtual_alias_recursion_limit, _expansion_limit and _address_length_limit. */
export const limits = Object.freeze({ recursion: 1000, expansion: 1000, addressLength: 1000 });

/** What stands in an address's place; `undefined`: it is no alias. */
export type LookUpAlias = (address: string) => MaybePromise<readonly string[] | undefined>;

/** Throws `TableUnavailable` when a limit is passed, or the table cannot be asked. */
export function expandAddress(address: string, lookUp: LookUpAlias): MaybePromise<readonly string[]> {
  return new Expansion(address, lookUp).run();
}

class Expansion {
  readonly #lookUp: LookUpAlias;
  readonly #addresses: string[];
  /** Addresses that are aliases of themselves: they are not expanded again. */
  readonly #final = new Set<string>();
  #at = 0;
  #depth = 0;

  constructor(address: string, lookUp: LookUpAlias) {
    this.#lookUp = lookUp;
    this.#addresses = [address];
  }

  run(): MaybePromise<readonly string[]> {
    while (this.#at < this.#addresses.length) {
      const address = this.#addresses[this.#at] as string;
      if (this.#final.has(foldKey(address))) {
        this.#next();
        continue;
      }
      if (this.#depth >= limits.recursion) throw this.#unreasonable("nested too deep");
      const found = this.#lookUp(address);
      if (isPromise(found)) {
        return found.then((late) => {
          this.#take(address, late);
          return this.run();
        });
      }
      this.#take(address, found);
    }
    return this.#addresses;
  }

  #next(): void {
    this.#at += 1;
    this.#depth = 0;
  }

  #take(address: string, targets: readonly string[] | undefined): void {
    const [first, ...rest] = targets ?? [];
    if (targets === undefined || first === undefined) return this.#next();
    this.#depth += 1;
    this.#addresses[this.#at] = first;
    if (this.#addresses.length + rest.length > limits.expansion + 1) throw this.#unreasonable("too many addresses");
    this.#addresses.push(...rest);
    for (const target of targets) {
      if (target.length > limits.addressLength) throw this.#unreasonable("too long an address");
      if (foldKey(target) === foldKey(address)) this.#final.add(foldKey(address));
    }
  }

  #unreasonable(why: string): TableUnavailable {
    return new TableUnavailable("virtual aliases", `${why}: ${this.#addresses[0]?.slice(0, 300)}`);
  }
}
