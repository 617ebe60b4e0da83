/** Addresses whose owner has moved, as rewriters know them: their mail is bounced, and refused before it is taken. */
import { after, type MaybePromise } from "../model/index.ts";
import type { Rewriters } from "../rewrite/index.ts";
import type { AddressBook } from "./address-book.ts";
import type { ResolveRoute } from "./router.ts";

/** Whose owner has moved is told so, whatever else a table says of the address (Postfix's relocated_maps). */
export function movedRoute(route: ResolveRoute, { movedTo }: Pick<Rewriters, "movedTo">): ResolveRoute {
  if (movedTo === undefined) return route;
  return (ask) =>
    after(route(ask), (found) =>
      after(movedTo(ask.address), (place) =>
        place === undefined ? found : { ...found, transport: "error", nextHop: movedText(place) },
      ),
    );
}

/** What would bounce is refused before it is taken; an alias goes elsewhere. */
export function withMoved(
  book: AddressBook,
  { movedTo, isAlias }: Pick<Rewriters, "movedTo" | "isAlias">,
): AddressBook {
  if (movedTo === undefined) return book;
  return Object.freeze({
    ...book,
    bounceText: (address: string, sender: string) =>
      after(movedTo(address), (place): MaybePromise<string | undefined> => {
        if (place === undefined) return book.bounceText?.(address, sender);
        return after(isAlias(address), (alias) => (alias ? undefined : movedText(place)));
      }),
  });
}

const movedText = (place: string): string => `5.1.6 User has moved to ${place}`;
