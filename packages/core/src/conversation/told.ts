/** What another mail server tells of a session that it has, in the words of a session of ours. */
import type { Client, Session } from "../model/index.ts";

/** Who has come, and where. */
export interface ToldSession {
  /** Stands in `session.listener`, in the log, and for lists of its own. */
  readonly listener: string;
  readonly client: Pick<Client, "address" | "port" | "name" | "reverseName" | "nameStatus">;
  readonly server: Session["server"];
}

/** What is known of the client by now. Each is remembered: told once, it need not be told again. */
export interface ToldState {
  readonly tls?: Session["tls"];
  readonly auth?: Session["auth"];
}

/** At which stages anybody has something to say; what is not asked for here need not be told. */
export interface Needs {
  readonly connect: boolean;
  readonly helo: boolean;
  readonly mail: boolean;
  readonly rcpt: boolean;
  readonly data: boolean;
  /** Header fields and body. */
  readonly content: boolean;
  readonly unknown: boolean;
}
