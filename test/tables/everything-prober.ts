// Somebody who asks all the while, during outages too: for those who exist, who do not, and who are none of ours.
import { dial } from "../e2e/dialogue.ts";
import { until } from "../e2e/until.ts";

/** From the first moment on, two sessions at a time. */
export class Prober {
  readonly replies: string[] = [];
  #answered = 0;
  #putOff = 0;
  #over = false;
  readonly #wrong: string[] = [];
  readonly #work: Promise<unknown>;

  /** `right`: what RCPT is answered for each address; a refusal for now is never wrong. */
  constructor(port: number, localAddress: string, right: Readonly<Record<string, RegExp>>) {
    const ask = async (start: number) => {
      for (let round = start; !this.#over; round += 1) {
        using session = await dial(port, { localAddress });
        await session.say("EHLO prober.source.test");
        await session.say("MAIL FROM:<a@friend.test>");
        for (const [to, reply] of Object.entries(right)) {
          const said = await session.say(`RCPT TO:<${to}>`);
          this.replies.push(said);
          if (said.startsWith("451 4.3.0 ")) this.#putOff += 1;
          else if (reply.test(said)) this.#answered += 1;
          else this.#wrong.push(`${to}: ${said}`);
        }
        session.write("QUIT\r\n");
        await session.over();
      }
    };
    this.#work = Promise.all([0, 1].map(ask));
    this.#work.catch((error: unknown) => this.#wrong.push(String(error)));
  }

  /** Waits for so many right answers more. */
  goOn(more: number): Promise<void> {
    const goal = this.#answered + more;
    return this.#until(() => this.#answered >= goal);
  }

  /** Waits until so many more were put off. */
  fails(more: number): Promise<void> {
    const goal = this.#putOff + more;
    return this.#until(() => this.#putOff >= goal);
  }

  /** What it heard last is the best clue why nothing more came. */
  #until(holds: () => boolean): Promise<void> {
    return until(holds).catch((error: unknown) => {
      throw new Error([...this.#wrong.slice(0, 5), ...this.replies.slice(-10)].join("\n"), { cause: error });
    });
  }

  /** The wrong answers. */
  async end(): Promise<readonly string[]> {
    this.#over = true;
    await this.#work;
    return this.#wrong;
  }
}
