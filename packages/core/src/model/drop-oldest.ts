/**
 * Takes the `count` keys that were set first out of a map, and gives them. Many together: to find the first of a map takes as long as it
 * has lost entries since it last grew.
 */
export function dropOldest<Key>(map: Map<Key, unknown>, count: number): readonly Key[] {
  const dropped: Key[] = [];
  for (const key of map.keys()) {
    if (dropped.length >= count) break;
    dropped.push(key);
    map.delete(key);
  }
  return dropped;
}
