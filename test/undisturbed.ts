// What holds within a time limit of the product, on a machine that may stand still for longer than that.
const tickMs = 10;
const standstillMs = 30;
const mostTries = 10;

/**
 * Tries again what failed while the machine stood still, as rented ones do: then limits ran out that had no reason to. What fails
 * without that fails. Nothing in `attempt` may block, nor leave behind what the next one cannot stand.
 */
export async function undisturbed<T>(attempt: () => T | Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    let last = performance.now();
    let longest = 0;
    const look = () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    };
    const pulse = setInterval(look, tickMs);
    try {
      return await attempt();
    } catch (error) {
      look();
      if (longest < standstillMs || tries === mostTries) throw error;
    } finally {
      clearInterval(pulse);
    }
  }
}
