/** As whom a command runs. Only root can become somebody else, and root itself runs nothing. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

const run = promisify(execFile);

/**
 * `user` or `user:group`, by the system's own databases. `undefined`: as we are. Rejects with an `Error` whose message is for the operator.
 */
export async function findIdentity(
  user: string | undefined,
  own: { readonly uid: number; readonly gid: number } | undefined,
): Promise<Identity | undefined> {
  if (own === undefined) throw new Error("commands need a system with users");
  if (user === undefined) {
    if (own.uid === 0) throw new Error('"user" is missing: the gateway runs as root, and root runs no commands');
    return undefined;
  }
  const [name = "", group] = user.split(":");
  const uid = await idOf(["-u", "--", name], `user ${name}`);
  const gid = group === undefined ? await idOf(["-g", "--", name], `user ${name}`) : await groupId(group);
  if (uid === 0 || gid === 0) throw new Error(`"user" is ${user}: root runs no commands`);
  if (uid === own.uid && gid === own.gid) return undefined;
  if (own.uid !== 0)
    throw new Error(`"user" is ${user}, and only a gateway that runs as root can become somebody else`);
  return { uid, gid };
}

async function idOf(args: readonly string[], what: string): Promise<number> {
  try {
    return number((await run("id", args)).stdout, what);
  } catch (error) {
    throw new Error(`there is no ${what}`, { cause: error });
  }
}

async function groupId(group: string): Promise<number> {
  try {
    return number((await run("getent", ["group", group])).stdout.split(":")[2] ?? "", `group ${group}`);
  } catch (error) {
    throw new Error(`there is no group ${group}`, { cause: error });
  }
}

function number(text: string, what: string): number {
  if (!/^\d+\s*$/.test(text)) throw new Error(`no number for ${what}`);
  return Number(text);
}
