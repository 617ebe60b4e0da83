/** One entry of `listen`: a list of the policy language behind an address. */
import { ConfigError, logText, type Gateway } from "@postern/core";
import { parseAddress } from "../address.ts";
import type { Notes } from "../notes.ts";
import type { ListenOptions } from "../options.ts";
import { toAction } from "./action.ts";
import { Door, type Listening } from "./door.ts";
import { toAsk, type Attributes, type QuestionScope } from "./question.ts";

/** What is told when the question itself could not be understood for want of a table. */
const unavailable = "451 4.3.0 Temporary lookup failure";

/** Registers what `setup` must; the address is taken when the gateway is ready. */
export function listenFor(gateway: Gateway, options: ListenOptions, index: number, notes: Notes): void {
  const address = parseAddress(options.address, gateway.directory);
  if (address === undefined) throw new ConfigError(`"${options.address}" is no address`);
  const list = gateway.policy.use(options.list, `plugin ${gateway.name}, listen[${index}].list`);
  if (gateway.dry) return;
  let questions = 0;
  const scope: QuestionScope = {
    listener: `policy:${address.text}`,
    now: () => gateway.clock.now(),
    inNetworks: (client) => gateway.addresses.inNetworks(client),
    nextId: () => `${gateway.name}-${(questions += 1)}`,
  };
  const answer = async (question: Attributes): Promise<string> => {
    try {
      const ask = await toAsk(question, scope);
      return ask === undefined ? "DUNNO" : toAction(await list.judge(ask), options.permit);
    } catch (error) {
      notes.warn("answer", `policy server ${address.text}: ${logText((error as Error).message, 200)}`);
      return unavailable;
    }
  };
  const listening: Listening = {
    address,
    plugin: gateway.name,
    allow: options.allow,
    mode: Number.parseInt(options.mode, 8),
    connections: options.connections,
    timeoutMs: options.timeout,
    idleMs: options.maxIdle,
    clock: gateway.clock,
    answer,
    warn: (matter, text) => notes.warn(matter, text),
  };
  let door: Door | undefined;
  gateway.onReady(async () => {
    door = await Door.enter(gateway.directory, listening);
    gateway.log.info(`policy server listens on ${address.text}`);
  });
  gateway.onClose(async () => {
    await door?.leave(listening);
  });
}
