/** Options: the milters that this gateway asks. */
import { z } from "zod";
import { clientOptions } from "./client/index.ts";

export const options = z.strictObject(clientOptions);
export type Options = z.output<typeof options>;
