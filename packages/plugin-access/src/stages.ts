/** Where words may stand: from the stage on at which what they are about is known. Lists that are asked at RCPT take any of them. */
import { stages, type Stage } from "@postern/core";

export const fromHelo: readonly Stage[] = Object.freeze(stages.slice(stages.indexOf("helo")));
export const fromMail: readonly Stage[] = Object.freeze(stages.slice(stages.indexOf("mail")));
/** In `data` and `message` there is a recipient to ask about only when it is the only one. */
export const fromRcpt: readonly Stage[] = Object.freeze(stages.slice(stages.indexOf("relay")));
