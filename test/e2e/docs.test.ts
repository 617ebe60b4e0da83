// What the documentation shows is true: its blocks compile, its configs pass `check`, its tests pass, its links lead somewhere.
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../services/folder.ts";
import { freePort } from "../services/ports.ts";
import { dial, hand } from "./dialogue.ts";
import { repository, startGateway } from "./gateway.ts";
import { run } from "./run.ts";
import { until } from "./until.ts";

const pages = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "examples/README.md",
  "examples/scanner/README.md",
  ...markdownBelow("docs"),
  ...readdirSync(join(repository, "packages")).map((name) => `packages/${name}/README.md`),
].filter((page) => existsSync(join(repository, page)));

function markdownBelow(folder: string): string[] {
  const names = readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".md")).map((name) => join(folder, name));
}

const textOf = (page: string): string => readFileSync(join(repository, page), "utf8");

/** Blocks marked `<!-- story NAME: FILE -->`: by story, then by file. */
function storiesOf(page: string): Map<string, Record<string, string>> {
  const block = /<!-- story (\S+): (\S+) -->\s*```\w*\n([^]*?)```/g;
  const stories = new Map<string, Record<string, string>>();
  for (const [, name = "", file = "", text = ""] of textOf(page).matchAll(block)) {
    stories.set(name, { ...stories.get(name), [file]: text });
  }
  return stories;
}

/** As GitHub makes them. */
function anchorsOf(page: string): string[] {
  const headings = textOf(page)
    .replaceAll(/^```[^]*?^```/gm, "")
    .matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(" ", "-"),
  );
}

describe("links", () => {
  it.each(pages)("%s", (page) => {
    const dead: string[] = [];
    for (const [, target = ""] of textOf(page)
      .replaceAll(/^```[^]*?^```/gm, "")
      .matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : join(dirname(page), decodeURI(path));
      if (!existsSync(join(repository, file))) dead.push(target);
      else if (anchor !== undefined && !anchorsOf(file).includes(anchor)) dead.push(target);
    }
    expect(dead).toEqual([]);
  });

  it("every page of docs is linked from its index", () => {
    const index = textOf("docs/README.md");
    const names = markdownBelow("docs").filter((page) => dirname(page) === "docs" && page !== "docs/README.md");
    expect(names.filter((page) => !index.includes(`](${relative("docs", page)})`))).toEqual([]);
  });
});

const guides = markdownBelow("docs").filter((page) => dirname(page) === "docs");
const home = temporaryFolder();
afterAll(() => home[Symbol.dispose]());
symlinkSync(join(repository, "node_modules"), join(home.path, "node_modules"));
writeFileSync(join(home.path, "package.json"), JSON.stringify({ type: "module" }));

const stories = guides.flatMap((page) =>
  [...storiesOf(page)].map(([name, files]) => ({ name, page, files, folder: join(home.path, name) })),
);
for (const { files, folder } of stories) {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
}
const paths = stories.flatMap(({ files, folder }) => Object.keys(files).map((file) => join(folder, file)));

interface Checked {
  readonly warnings: readonly string[];
  readonly findings: readonly { readonly level: string; readonly rule: string; readonly message: string }[];
}

describe("blocks", () => {
  it("there are some, and no two stories share a name", () => {
    expect(new Set(stories.map(({ name }) => name)).size).toBe(stories.length);
    expect(stories.map(({ name }) => name)).toEqual(expect.arrayContaining(["plugins", "testing"]));
  });

  it("TypeScript has its types right", async () => {
    const base = relative(home.path, join(repository, "tsconfig.base.json"));
    writeFileSync(
      join(home.path, "tsconfig.json"),
      JSON.stringify({
        extends: `./${base}`,
        compilerOptions: { noEmit: true, declaration: false },
        include: ["*/**/*.ts"],
      }),
    );
    const tsc = join(repository, "node_modules/typescript/bin/tsc");
    const { stdout } = await run(process.execPath, [tsc, "-p", home.path, "--pretty", "false"], { cwd: home.path });
    // What is wrong in the gateway itself is for `npm run check` to say.
    expect(stdout.split("\n").filter((line) => /^\S/.test(line) && !line.startsWith("../"))).toEqual([]);
  });

  it.each(paths.filter((path) => /\/postern\.config\.\w+$/.test(path)))("%s passes check", async (path) => {
    const command = join(repository, "packages/cli/src/main.ts");
    const args = ["--conditions=@postern/source", command, "check", "--json", "--config", path];
    const { status, stdout, stderr } = await run(process.execPath, args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const { warnings, findings } = JSON.parse(stdout) as Checked;
    // A page that is about something else need not say who exists, and this machine may stand where its example's networks are.
    const told = findings.filter(
      ({ level, rule }) => level === "warning" && rule !== "backscatter" && rule !== "networks",
    );
    expect({ warnings, told }).toEqual({ warnings: [], told: [] });
  });
});

for (const path of paths.filter((name) => name.endsWith(".test.ts"))) {
  describe(relative(home.path, path), async () => void (await import(/* @vite-ignore */ path)));
}

it("the plugins of plugins.md do what the page says", async () => {
  const port = await freePort();
  const files = Object.fromEntries(
    Object.entries(storiesOf("docs/plugins.md").get("plugins") ?? {}).map(([file, text]) => [
      file,
      text.replaceAll("2525", String(port)),
    ]),
  );
  await using gateway = await startGateway({ port, files, configFile: "postern.config.json" });
  const to = "user@example.test";

  // quota: the third recipient; a friend's table entry would permit, and comes later.
  expect(await hand(port, { from: "a@friend.test", to: [to, "b@example.test", "c@example.test"] })).toBe(
    "450 4.7.1 Too many recipients, try again later",
  );
  // words
  expect(await hand(port, { from: "b@x.test", to, content: "Subject: a\r\n\r\nswordfish\r\n" })).toBe(
    "550 5.7.1 forbidden content",
  );
  const large = `Subject: a\r\n\r\n${`${"x".repeat(98)}\r\n`.repeat(11_000)}`;
  expect(await hand(port, { from: "c@x.test", to, content: large })).toBe("554 5.3.0 Message refused");
  // watch: two refused recipients, then the session
  using smtp = await dial(port);
  await smtp.say("EHLO p");
  await smtp.say("XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE]");
  await smtp.say("EHLO a.test");
  await smtp.say("MAIL FROM:<d@x.test>");
  for (const other of ["x@other.test", "y@other.test"]) {
    expect(await smtp.say(`RCPT TO:<${other}>`)).toMatch(/^554 5\.7\.1 .*Relay access denied/);
  }
  await until(async () => (await smtp.say(`RCPT TO:<${to}>`)) === "550 5.7.1 Too many unknown recipients");
  // reputation
  using bad = await dial(port);
  await bad.say("EHLO p");
  expect(await bad.say("XCLIENT ADDR=192.0.2.66 NAME=[UNAVAILABLE]")).toBe("554 5.7.1 Your reputation precedes you");
  // journal
  expect(await hand(port, { from: "e@x.test", to: "journal@example.test" })).toMatch(/^250 /);
  const journal = join(gateway.folder, "journal.txt");
  await until(() => existsSync(journal) && readFileSync(journal, "utf8").endsWith(" journal@example.test\n"));
});

describe("what postern explain prints is what the page shows", () => {
  it.each(["refused.txt", "accepted.txt"])("%s", async (file) => {
    const story = stories.find(({ name }) => name === "explain");
    const [first = "", ...shown] = (story?.files[file] ?? "").split("\n");
    const words = first.replace("$ npx postern ", "").split(" ");
    const command = join(repository, "packages/cli/src/main.ts");
    const args = ["--conditions=@postern/source", command, ...words];
    const { stdout } = await run(process.execPath, args, { cwd: story?.folder ?? "" });
    const text = Buffer.from(stdout, "latin1").toString();
    const plain = text.replaceAll(story?.folder ?? "", "/etc/postern").replaceAll(/ {2}\d+ ms$/gm, "");
    expect(plain.split("\n")).toEqual(shown);
  });
});
