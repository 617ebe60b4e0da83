// Everything of one seed that both servers share: names in DNS, policies and their tables; and the real Postfix that has them.
import { randomInt } from "node:crypto";
import { temporaryFolder } from "../../services/folder.ts";
import { startKnot, type Zones } from "../../services/knot.ts";
import { createChance } from "./chance.ts";
import { deadZones } from "./names.ts";
import { makePolicy, type SessionPolicy } from "./policy.ts";
import { startReal } from "./postfix.ts";
import { makeSession, type Session } from "./session.ts";
import { writeTable } from "./tables.ts";
import type { Vocabulary } from "./words.ts";
import { makeZones } from "./zone.ts";

export interface World extends AsyncDisposable {
  readonly policies: readonly SessionPolicy[];
  readonly zones: Zones;
  /** `address:port`, for Postern. */
  readonly nameServer: string;
  portOf(policy: SessionPolicy): number;
}

/** `only`: the name of the one policy that is wanted. */
export async function startWorld(
  seed: number,
  count: number,
  vocabulary: Vocabulary,
  only: string | undefined,
): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(temporaryFolder());
  const zones = makeZones(createChance(seed));
  // Postfix asks on port 53 alone, so the address is one that nobody else has.
  const address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  const knot = stack.use(await startKnot({ folder: folder.path, address, port: 53, zones, dead: deadZones }));
  const policies: SessionPolicy[] = [];
  for (let index = 0; index < count; index += 1) {
    const policy = makePolicy(createChance(seed * 10_007 + index), `p${index}`, vocabulary, folder.path);
    if (only !== undefined && policy.name !== only) continue;
    for (const table of policy.tables) writeTable(table);
    policies.push(policy);
  }
  const { postfix, ports } = await startReal(policies, { folder: folder.path, nameServer: address });
  stack.use(postfix);
  const owned = stack.move();
  return {
    policies,
    zones,
    nameServer: knot.server,
    portOf: (policy) => ports.get(policy) ?? 0,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The sessions of one policy, always the same ones. */
export function* makeSessions(seed: number, policy: SessionPolicy, count: number): Generator<Session> {
  const chance = createChance(seed * 1_000_003 + Number(policy.name.slice(1)));
  for (let index = 0; index < count; index += 1) yield makeSession(chance);
}
