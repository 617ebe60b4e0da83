/** sleep: keeps a client waiting. Who does not stay is not waited for: a session that is gone would hold memory as long as the word says. */
import { defer, stages, type Answer, type Clock, type Restriction, type Session } from "@postern/core";
import { longestSleepSeconds, seconds } from "./arguments.ts";

export interface Sleep {
  readonly word: Restriction<[number]>;
  /** The session is over. */
  closed(session: Session): void;
}

/** Nobody hears it; it keeps the words behind from asking about somebody who is gone. */
const gone = defer("The client is gone", "4.4.2", 450);

export function createSleep(): Sleep {
  /** By session id: gives the wait up. */
  const sleeping = new Map<string, () => void>();

  function sleep({ id }: Session, ms: number, clock: Clock): Promise<Answer> {
    return new Promise((resolve) => {
      const end = (answer: Answer): void => {
        sleeping.delete(id);
        timer.cancel();
        resolve(answer);
      };
      const timer = clock.setTimer(() => end(undefined), ms);
      sleeping.set(id, () => end(gone));
    });
  }

  return {
    word: {
      name: "sleep",
      stages,
      args: seconds,
      description: `Waits that many seconds, at most ${longestSleepSeconds}, before the next word.`,
      deadlineMs: (longestSleepSeconds + 5) * 1000,
      compile:
        ([delay], { clock }) =>
        ({ dry, session }) =>
          dry || delay === 0 ? undefined : sleep(session, delay * 1000, clock),
    },
    closed: ({ id }) => sleeping.get(id)?.(),
  };
}
