/** The quarantine of a running gateway, newest first, a page at a time. */
import { askControl, type QuarantineListing, type QuarantinePage, type QuarantineQuery } from "@postern/core";

const mostOnPage = 500;
/** A search takes its time in many pages; one of them waits for the disk at most. */
const timeoutMs = 60_000;

export async function* pages(
  directory: string,
  query: QuarantineQuery,
  limit: number,
): AsyncGenerator<readonly QuarantineListing[]> {
  let left = limit;
  for (let after: string | undefined; left > 0;) {
    const args = { ...query, limit: Math.min(left, mostOnPage), ...(after !== undefined && { after }) };
    const page = (await askControl(directory, { command: "quarantine list", args }, { timeoutMs })) as QuarantinePage;
    yield page.entries;
    left -= page.entries.length;
    if (page.next === undefined) return;
    after = page.next;
  }
}
