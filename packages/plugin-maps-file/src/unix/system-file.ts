/** Lines of passwd(5) and group(5), as the C library reads them from their files. */

export interface SystemFile {
  readonly path: string;
  /** Of nsswitch.conf(5) and getent(1). */
  readonly database: "passwd" | "group";
  /** The name and the line as Postfix answers it, or `undefined` for what is no entry. */
  read(fields: readonly string[]): { name: string; line: string } | undefined;
}

/** A number of 32 bits as the C library takes it, `undefined` for what it refuses. */
function numberOf(field: string): number | undefined {
  if (!/^[ \t]*\d{1,10}$/.test(field)) return undefined;
  const number = Number(field);
  return number < 2 ** 32 ? number : undefined;
}

export const passwd: SystemFile = {
  path: "/etc/passwd",
  database: "passwd",
  read(fields) {
    const [name = "", password = "", userId = "", groupId = "", gecos = "", home = "", shell = ""] = fields;
    const [user, group] = [numberOf(userId), numberOf(groupId)];
    if (!isName(name) || user === undefined || group === undefined) return undefined;
    // A shell takes the rest of the line; numbers lose their zeros.
    const rest = fields.length > 7 ? fields.slice(6).join(":") : shell;
    return { name, line: [name, password, user, group, gecos, home, rest].join(":") };
  },
};

export const group: SystemFile = {
  path: "/etc/group",
  database: "group",
  read(fields) {
    const [name = "", password = "", groupId = "", ...members] = fields;
    const id = numberOf(groupId);
    if (!isName(name) || id === undefined) return undefined;
    const names = members
      .join(":")
      .split(",")
      .map((member) => member.trimStart());
    return { name, line: [name, password, id, names.filter((member) => member !== "").join(",")].join(":") };
  },
};

/** `+name` and `-name` are no users but instructions of old (nsswitch's "compat"). */
function isName(name: string): boolean {
  return name !== "" && !name.startsWith("+") && !name.startsWith("-");
}

/** Lines by name; the first of equal names counts. Comments and lines that are no entries are passed over, as the C library does. */
export function readSystemFile(text: string, file: SystemFile): Map<string, { line: string; number: number }> {
  const lines = new Map<string, { line: string; number: number }>();
  let number = 0;
  for (const written of text.split("\n")) {
    number += 1;
    const trimmed = written.trimStart();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const entry = file.read(trimmed.split(":"));
    if (entry !== undefined && !lines.has(entry.name)) lines.set(entry.name, { line: entry.line, number });
  }
  return lines;
}
