/** The hash of cdb (Bernstein): 32 bits, from 5381, times 33, xor the octet. */

export const tableCount = 256;
/** The table of tables at the file's begin: for each hash table its position and its number of slots. */
export const headerBytes = tableCount * 8;

export function cdbHash(octets: Uint8Array, length: number): number {
  let hash = 5381;
  for (let index = 0; index < length; index++) hash = (Math.imul(hash, 33) ^ (octets[index] ?? 0)) >>> 0;
  return hash;
}
