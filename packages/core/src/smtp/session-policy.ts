/** The policy as one session asks it: what this folder uses of a `SessionJudge`. */
import type { MessageRuling, SessionJudge } from "../policy/index.ts";

export type SessionPolicy = Pick<SessionJudge, "ask" | "judge" | "resetTransaction" | "decision">;
export type { MessageRuling };
