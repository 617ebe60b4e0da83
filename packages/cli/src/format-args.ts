/** A word's arguments, from their JSON schema: `<table> <value>`. */

interface ArgumentSchema {
  readonly title?: string;
  readonly description?: string;
  readonly type?: string;
}

export function formatArgs(schema: unknown): string {
  const { prefixItems = [], items } = schema as { prefixItems?: readonly ArgumentSchema[]; items?: unknown };
  const names = prefixItems.map(({ title, description, type }) => `<${title ?? description ?? type ?? "argument"}>`);
  return [...names, ...(typeof items === "object" && items !== null ? ["…"] : [])].join(" ");
}
